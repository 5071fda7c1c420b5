"""What OpenSSH's own words mean, and what to do. The texts are those of OpenSSH's sshconnect.c, kex.c and clientloop.c."""

from urllib.parse import urlsplit

LONGEST = 300  # characters of ssh's words
SAID = 8192  # bytes that are read of what ssh said


class SSHFailed(ConnectionError):
    """The ssh command ended, and its connection with it. The text is the sentence for people."""


def explain_ssh(said: str, url: str, place: str) -> str:
    """Return what ssh wrote to its stderr in a sentence or two. `url` as in ssh://user@host:port; `place` names the engine."""
    return f"{place} cannot be reached by ssh: {_explain(said, url)}."


def _explain(said: str, url: str) -> str:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 22
    known = host if port == 22 else f"[{host}]:{port}"
    if "IDENTIFICATION HAS CHANGED" in said:
        return (
            "the host's key is another one than the one in known_hosts. If the host was set up anew, remove the old key as the "
            f"console's user with ssh-keygen -R '{known}', and add the new one. If not, somebody may stand between"
        )
    if "Host key verification failed" in said:
        return (
            f"the host's key is not known. As the console's user, run ssh-keyscan -p {port} {host} >> ~/.ssh/known_hosts, and "
            "compare the key with the host's own"
        )
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    words = (lines[-1] if lines else "ssh gave no reason")[:LONGEST].rstrip(".")
    if "kex_exchange_identification" in said:
        return f"{words}. If this happens under load, raise MaxStartups in the host's sshd_config"
    return words

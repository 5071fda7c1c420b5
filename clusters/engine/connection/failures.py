"""Why an engine cannot be reached, as one exact sentence."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from http.client import BadStatusLine, RemoteDisconnected
from urllib.parse import urlsplit

import requests
from docker.errors import APIError

SSH_PATIENCE = 10  # seconds for the connection; the whole probe has twice that


def describe_failure(error: BaseException, url: str = "") -> str:
    """The reason behind an SDK's or transport's error. `url` is the engine's address; its user and password are not shown."""
    place = describe_place(url)
    for cause in walk_causes(error):
        if sentence := describe_cause(cause, url, place):
            return sentence
    text = str(last_cause(error)) or type(error).__name__
    return f"{place} does not answer: {text[:300].rstrip('.')}."


def describe_place(url: str) -> str:
    return f"The engine at {describe_address(url)}" if url else "The engine"


def describe_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    return f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"


def describe_cause(cause: BaseException, url: str, place: str) -> str:
    """A sentence for a cause that explains itself; empty for a wrapper."""
    match cause:
        case FileNotFoundError():
            return f"{place} does not answer: there is no such socket."
        case PermissionError():
            return f"{place} cannot be used: permission denied. The console's user must be allowed to (group docker)."
        case ConnectionRefusedError():
            return f"{place} does not answer: connection refused."
        case socket.gaierror():
            return f"{place} cannot be found: the host name is not known."
        case ssl.SSLError():
            return f"{place} cannot be trusted or does not trust us: {describe_tls(cause)}."
        case TimeoutError() | requests.exceptions.Timeout():
            return f"{place} did not answer in time."
        case APIError():
            return describe_strange_answer(cause, url)
        case RemoteDisconnected():
            return f"{place} closed the connection without an answer."
        case ValueError() | KeyError() | BadStatusLine():  # no JSON, or not an engine's
            return f"What answers is not a Docker engine: {describe_address(url)}."
        case OSError() if cause.strerror and not isinstance(cause, requests.exceptions.RequestException):
            return f"{place} does not answer: {cause.strerror.lower()}."
    return ""


def describe_tls(error: ssl.SSLError) -> str:
    reason: str = getattr(error, "verify_message", "") or (error.reason or "").replace("_", " ").lower()
    return f"TLS: {reason or 'the handshake failed'}"


def describe_strange_answer(error: APIError, url: str) -> str:
    """An HTTP error where an engine would have told its version."""
    if "HTTPS server" in str(error.explanation):
        return f"{describe_place(url)} speaks TLS: give its CA, and a client certificate with its key."
    return f"What answers is not a Docker engine: {describe_address(url)} (status {error.status_code})."


def walk_causes(error: BaseException) -> Iterator[BaseException]:
    """The innermost reason first: four wrapped reprs say less than "connection refused"."""
    chain: list[BaseException] = []
    waiting: list[BaseException] = [error]
    while waiting:
        current = waiting.pop(0)
        if current in chain:
            continue
        chain.append(current)
        inner = [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
        waiting.extend(item for item in inner if isinstance(item, BaseException))
    return reversed(chain)


def last_cause(error: BaseException) -> BaseException:
    return next(walk_causes(error))


def probe_ssh(url: str) -> str:
    """Why ssh does not get through to the engine behind `url`, in ssh's own words; empty when it does."""
    parts = urlsplit(url)
    command = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={SSH_PATIENCE}"]
    command += ["-l", parts.username] if parts.username else []
    command += ["-p", str(parts.port)] if parts.port else []
    command += ["--", parts.hostname or "", "docker version --format '{{.Server.Version}}'"]
    place = describe_place(url)
    try:
        done = subprocess.run(  # noqa: S603 - a list of arguments, no shell
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=2 * SSH_PATIENCE,
            check=False,
        )
    except FileNotFoundError:
        return "The ssh command is not installed on the console's machine."
    except subprocess.TimeoutExpired:
        return f"{place} did not answer in time (ssh)."
    if done.returncode == 0:
        return ""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return f"{place} cannot be reached by ssh: {(lines[-1] if lines else 'no reason given')[:300].rstrip('.')}."

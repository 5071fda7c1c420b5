"""Typed readers of environment variables. They raise ImproperlyConfigured with one line if a value is invalid.

Every reader takes the variable's name. A value can also be in the file that `NAME_FILE` names, as Docker and Swarm secrets
are.
"""

import os
import re
import secrets
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from console.identity.issuers import explain_issuer


def read_text(name: str, default: str = "") -> str:
    """Return the content of the file named by `NAME_FILE`, or else the variable's value, stripped. If empty, `default`."""
    path = os.environ.get(f"{name}_FILE")
    if path:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ImproperlyConfigured(f"{name}_FILE is {path!r}, but the file cannot be read: {error}.") from error
    return os.environ.get(name, "").strip() or default


def read_integer(name: str, default: int, minimum: int, maximum: int) -> int:
    text = read_text(name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not minimum <= int(text) <= maximum:
        raise ImproperlyConfigured(f"{name} is {text!r}. It must be a whole number from {minimum} to {maximum}.")
    return int(text)


def read_boolean(name: str, default: bool) -> bool:
    text = read_text(name).lower()
    if not text:
        return default
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} is {text!r}. It must be 1 or 0.")


def read_list(name: str) -> list[str]:
    """Return values that are separated by commas."""
    return [part.strip() for part in read_text(name).split(",") if part.strip()]


def read_path_list(name: str) -> list[str]:
    """Return absolute paths, which can contain * and ?, that are separated by commas. Each can begin with unix://."""
    paths = [part.removeprefix("unix://") for part in read_list(name)]
    for path in paths:
        if not path.startswith("/") or "\0" in path:
            raise ImproperlyConfigured(
                f"{name} contains {path!r}. Each entry must be the absolute path of a socket, such as /var/run/docker.sock."
            )
    return paths


def read_network_list(name: str) -> list[str]:
    """Return IP addresses or networks in CIDR form that are separated by commas."""
    for part in read_list(name):
        try:
            ip_network(part, strict=False)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name} contains {part!r}. Each entry must be an IP address or a network such as 10.0.0.0/8."
            ) from error
    return read_list(name)


def read_host_list(name: str) -> list[str]:
    """Return hosts that are separated by commas: a name, an IP address, `.example.com` for all below it, or `*` for any."""
    for part in read_list(name):
        if part != "*" and not re.fullmatch(r"\.?[A-Za-z0-9][A-Za-z0-9.-]*|\[?[0-9A-Fa-f:.]+\]?", part):
            raise ImproperlyConfigured(
                f"{name} contains {part!r}. Each entry must be a host without scheme and port, such as windlass.example.com."
            )
    return [write_host(part) for part in read_list(name)]


def write_host(host: str) -> str:
    """Return the host as requests name it: in lower case, without a last dot, and an IPv6 address in brackets."""
    host = host.lower().strip("[]").removesuffix(".")
    return f"[{host}]" if ":" in host else host


def read_oidc() -> dict[str, str]:
    """Return the identity provider that WINDLASS_OIDC_* describe: the fields of console.identity.providers.Provider, and an
    empty issuer if there is none."""
    found = {
        "issuer": read_text("WINDLASS_OIDC_ISSUER"),
        "client_id": read_text("WINDLASS_OIDC_CLIENT_ID"),
        "given_secret": read_text("WINDLASS_OIDC_CLIENT_SECRET"),
        "name": read_text("WINDLASS_OIDC_NAME", "single sign-on")[:60],
        "scopes": " ".join(read_text("WINDLASS_OIDC_SCOPES", "openid profile email").split()),
        "groups_claim": read_text("WINDLASS_OIDC_GROUPS_CLAIM", "groups"),
        "admits": read_choice("WINDLASS_OIDC_ADMITS", ("EVERYBODY", "MAPPED", "KNOWN"), "MAPPED").lower(),
    }
    if bool(found["issuer"]) != bool(found["client_id"]):
        raise ImproperlyConfigured("WINDLASS_OIDC_ISSUER and WINDLASS_OIDC_CLIENT_ID must be set together, or neither.")
    if "openid" not in found["scopes"].split():
        raise ImproperlyConfigured("WINDLASS_OIDC_SCOPES must contain openid.")
    if found["issuer"] and (wrong := explain_issuer(found["issuer"])):
        raise ImproperlyConfigured(f"WINDLASS_OIDC_ISSUER is not the address of an identity provider. {wrong}")
    return found


def read_variable_names(name: str) -> list[str]:
    """Return names of environment variables that are separated by commas. A last `*` stands for any end."""
    for part in read_list(name):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*\*?", part) or part.startswith("WINDLASS_"):
            raise ImproperlyConfigured(
                f"{name} contains {part!r}. Each entry must be the name of a variable that is not the console's own, "
                "such as VAULT_ADDR or VAULT_*."
            )
    return read_list(name)


def read_choice(name: str, choices: Sequence[str], default: str) -> str:
    text = read_text(name, default)
    if text.upper() not in choices:
        raise ImproperlyConfigured(f"{name} is {text!r}. It must be one of {', '.join(choices)}.")
    return text.upper()


def read_header_token(name: str, shortest: int) -> str:
    """Return a secret that is sent in a header, or empty text if it is not set. Errors do not show the value."""
    text = read_text(name)
    if text and (len(text) < shortest or not re.fullmatch(r"[!-~]+", text)):
        raise ImproperlyConfigured(f"{name} must have at least {shortest} characters, all printable ASCII without spaces.")
    return text


def read_url(name: str, schemes: set[str], default: str = "", needs_host: bool = False) -> str:
    """Return a URL with one of the schemes, without a trailing slash. Errors show only its scheme: it can hold a password."""
    text = read_text(name, default)
    if not text:
        return text
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is not a URL: {describe_url_error(error)}.") from error
    if parts.scheme not in schemes:
        wanted = " or ".join(f"{scheme}://" for scheme in sorted(schemes))
        raise ImproperlyConfigured(
            f"{name} starts with {text[:12].partition(':')[0]!r}. It must be a URL that starts with {wanted}."
        )
    if needs_host and not parts.hostname or port == 0:
        raise ImproperlyConfigured(f"{name} must contain a host, and any port must be from 1 to 65535.")
    return text.rstrip("/") if text.startswith("http") else text


def find_prefix(name: str, url: str, own: Sequence[str]) -> str:
    """Return the path of the URL that `read_url` has read, such as `/windlass`; empty if it has none.

    `own` are the first parts of the console's own paths. A prefix must not begin with one of them, or a request whose prefix a
    proxy has removed could mean two things.
    """
    parts = urlsplit(url)
    prefix = parts.path.rstrip("/")
    if parts.query or parts.fragment or parts.username is not None:
        raise ImproperlyConfigured(
            f"{name} must be a scheme, a host and at most a port and a path, such as https://example.com/x."
        )
    if not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", prefix):
        raise ImproperlyConfigured(f"The path of {name} can have letters, digits and the characters . _ ~ - only.")
    if prefix.split("/")[1:2] and prefix.split("/")[1] in own:
        raise ImproperlyConfigured(f"The path of {name} begins with {prefix.split('/')[1]}, which the console uses itself.")
    return prefix


def describe_url_error(error: ValueError) -> str:
    """Return urllib's reason without the value that it quotes."""
    return "its port is not a number from 1 to 65535" if "ort" in str(error) else "its host is not valid"


def read_or_create_secret(name: str, path: Path, generate: Callable[[], str] = lambda: secrets.token_urlsafe(48)) -> str:
    """Return the secret from the environment, or else from the file `path`, which is created with mode 0600 if it is missing.

    Two processes that start together agree on the file that is linked first.
    """
    value = read_text(name)
    if value:
        return value
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = path.with_name(f".{path.name}.{os.getpid()}")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(generate())
            try:
                os.link(draft, path)
            except FileExistsError:
                pass  # another process was first, and its secret counts
            finally:
                draft.unlink()
        value = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"The secret file {path} cannot be read or created: {error}.") from error
    if not value:
        raise ImproperlyConfigured(f"The secret file {path} is empty. Restore it from a backup.")
    return value

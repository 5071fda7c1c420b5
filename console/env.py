"""Typed readers of the environment. A wrong value stops the start with one sentence.

Every reader takes the variable's name. A secret may also come from the file that `NAME_FILE` names, as Docker
and Swarm secrets do.
"""

import os
import re
import secrets
from collections.abc import Callable, Sequence
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured


def read_text(name: str, default: str = "") -> str:
    """The variable's value, or the content of the file named by `NAME_FILE`, stripped; `default` when neither is set."""
    path = os.environ.get(f"{name}_FILE")
    if path:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ImproperlyConfigured(f"{name}_FILE names {path}, which cannot be read: {error}.") from error
    return os.environ.get(name, "").strip() or default


def read_integer(name: str, default: int, minimum: int, maximum: int) -> int:
    text = read_text(name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not minimum <= int(text) <= maximum:
        raise ImproperlyConfigured(f"{name} is {text!r}; it must be a whole number from {minimum} to {maximum}.")
    return int(text)


def read_boolean(name: str, default: bool) -> bool:
    text = read_text(name).lower()
    if not text:
        return default
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} is {text!r}; it must be 1 or 0.")


def read_list(name: str) -> list[str]:
    """Values separated by commas."""
    return [part.strip() for part in read_text(name).split(",") if part.strip()]


def read_networks(name: str) -> list[str]:
    """Addresses or networks in CIDR form, separated by commas."""
    for part in read_list(name):
        try:
            ip_network(part, strict=False)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name} holds {part!r}; it must be an address or a network such as 10.0.0.0/8."
            ) from error
    return read_list(name)


def read_choice(name: str, choices: Sequence[str], default: str) -> str:
    text = read_text(name, default)
    if text.upper() not in choices:
        raise ImproperlyConfigured(f"{name} is {text!r}; it must be one of {', '.join(choices)}.")
    return text.upper()


def read_token(name: str, shortest: int) -> str:
    """A secret that is sent in a header; empty when it is not set. A message shows nothing of it."""
    text = read_text(name)
    if text and (len(text) < shortest or not re.fullmatch(r"[!-~]+", text)):
        raise ImproperlyConfigured(f"{name} must be at least {shortest} letters, digits or signs, without a space.")
    return text


def read_url(name: str, schemes: set[str], default: str = "", needs_host: bool = False) -> str:
    """A URL of one of `schemes`, without a trailing slash. It may hold a password: a message shows no more than its scheme."""
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
            f"{name} starts with {text[:12].partition(':')[0]!r}; it must be a URL that starts with {wanted}."
        )
    if needs_host and not parts.hostname or port == 0:
        raise ImproperlyConfigured(f"{name} must name a host, and a port only from 1 to 65535.")
    return text.rstrip("/") if text.startswith("http") else text


def describe_url_error(error: ValueError) -> str:
    """urllib's reason without the value it quotes."""
    return "its port is not a number from 1 to 65535" if "ort" in str(error) else "its host is not a valid one"


def read_or_create_secret(name: str, path: Path, generate: Callable[[], str] = lambda: secrets.token_urlsafe(48)) -> str:
    """The secret from the environment, else from `path`; a missing file is made with mode 0600.

    Two processes that start together agree on the file that was linked first.
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
                pass  # another process was first; its secret is the one
            finally:
                draft.unlink()
        value = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"The secret file {path} cannot be read or made: {error}.") from error
    if not value:
        raise ImproperlyConfigured(f"The secret file {path} is empty; restore it from a backup.")
    return value

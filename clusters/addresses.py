"""The addresses of engines that people enter: one spelling for each, and only those sockets of this host that the environment
allows (WINDLASS_ENGINE_SOCKETS).

They are checked when they are added or changed, not when they are used: what is stored already keeps working.
"""

import glob
import os
import posixpath
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from django.conf import settings

from clusters.engine.connection.endpoint import SCHEMES, split_address
from clusters.engine.errors import EngineError


def accept_address(url: str, known: Collection[str] = ()) -> str:
    """Return the spelling in which an address is stored. An address that is no engine's is returned as it is.

    `known` are the cluster's stored addresses, which stay allowed. Raises EngineError (`bad_address`) for a socket that the
    environment does not allow.
    """
    spelled = spell_address(url)
    if url in known or spelled in {spell_address(each) for each in known}:
        return url if url in known else spelled
    path = find_socket(spelled)
    if path is None:
        return spelled
    if not is_allowed(path):
        raise EngineError(
            f"The console may not use the socket {path}. The setting WINDLASS_ENGINE_SOCKETS lists those that it may use: "
            f"{', '.join(dict.fromkeys(sockets()))}. Enter one of these, or add this one there and restart the console.",
            code="bad_address",
        )
    return f"unix://{path if is_named(path) else os.path.realpath(path)}"


def accept_addresses(text: str, known: Collection[str] = ()) -> tuple[str, list[str]]:
    """Return the addresses in a text, one a line, as `accept_address` spells them, and a sentence for each refused one."""
    accepted, problems = [], []
    for url in text.split():
        try:
            accepted.append(accept_address(url, known))
        except EngineError as error:
            problems.append(f"{url[:255]}: {error.message}")
    return "\n".join(accepted), problems


def spell_address(url: str) -> str:
    """Return the address with its scheme in lower case, and a socket's path without `//`, `.` and `..`."""
    try:
        parts = split_address(url)
    except EngineError:
        return url
    if parts.scheme not in SCHEMES:
        return url
    if parts.scheme != "unix":
        return f"{parts.scheme}:{url.partition(':')[2]}"
    return f"unix://{clean_path(parts.path)}" if parts.path.startswith("/") and not parts.netloc else url


def clean_path(path: str) -> str:
    """Return the path in one spelling. A `..` behind a link is resolved as the system resolves it."""
    if ".." in path.split("/"):
        return os.path.realpath(path)
    return posixpath.normpath(f"/{path.strip('/')}")


def find_socket(url: str) -> str | None:
    """Return the path of a unix:// address, or None for another address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts.path if parts.scheme == "unix" and not parts.netloc and parts.path.startswith("/") else None


def is_allowed_address(url: str) -> bool:
    path = find_socket(url)
    return path is None or is_allowed(path)


def is_allowed(path: str) -> bool:
    """Return whether the socket, with links resolved, is one that the environment allows."""
    real = PurePosixPath(os.path.realpath(path))
    return any(real.match(resolve_pattern(entry)) if has_pattern(entry) else real == resolve(entry) for entry in sockets())


def is_named(path: str) -> bool:
    """Return whether the environment allows the socket by this very path, whatever a link there leads to."""
    return any(PurePosixPath(path).match(entry) if has_pattern(entry) else path == entry for entry in sockets())


def sockets() -> Iterable[str]:
    return (posixpath.normpath(f"/{entry.strip('/')}") for entry in settings.ENGINE_SOCKETS)


def has_pattern(entry: str) -> bool:
    return glob.has_magic(entry)


def resolve(path: str) -> PurePosixPath:
    return PurePosixPath(os.path.realpath(path))


def resolve_pattern(entry: str) -> str:
    """Return the pattern with the links in its folders resolved, up to the first folder that is itself a pattern."""
    parts = PurePosixPath(entry).parts
    fixed = next(number for number, part in enumerate(parts) if has_pattern(part))
    return str(PurePosixPath(os.path.realpath(str(PurePosixPath(*parts[:fixed]))), *parts[fixed:]))


def list_offered_sockets() -> list[str]:
    """Return the addresses of the allowed sockets that exist on this host, each engine once."""
    found: dict[str, str] = {}
    for entry in sockets():
        for path in sorted(glob.glob(entry)) if has_pattern(entry) else [entry]:
            if is_socket(path) and is_allowed(path):
                found.setdefault(os.path.realpath(path), f"unix://{path}")
    return list(found.values())


def is_socket(path: str) -> bool:
    try:
        return Path(path).is_socket()
    except OSError:
        return False

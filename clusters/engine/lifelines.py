"""The containers that the console lives by: the door through which it reaches their engine, its database and its broker.

To stop one of them by a call would cut off the call itself. They are recognised by what the console connects to: a port that
they publish, an address of their own, or a name that only containers beside them can use. What is further away, behind a second
proxy for example, cannot be known; the label `windlass.protected` protects it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from clusters.engine.names import SERVICE_LABEL, find_own_container_id

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
ANYWHERE = {"", "0.0.0.0", "::"}  # noqa: S104 - compared with
DOOR = "the console reaches this engine through it"


@dataclass(frozen=True)
class Lifeline:
    """Something that the console connects to. `purpose` continues "X is protected: "."""

    host: str
    port: int
    purpose: str


@dataclass(frozen=True)
class Exposure:
    """By what others reach a container. `published` has addresses of the host with ports."""

    names: frozenset[str]
    addresses: frozenset[str]
    published: frozenset[tuple[str, int]]


@dataclass
class Needs:
    """What the console needs besides engines. Set once, when the process starts (clusters.apps)."""

    lifelines: tuple[Lifeline, ...] = field(default_factory=tuple)


needs = Needs()


def find_purpose(exposure: Exposure, address: str, listed_ids: Iterable[str]) -> str:
    """Say what the console needs the container for; empty if it needs it for nothing that can be known.

    `address` is the engine's, as the console connects to it. `listed_ids` are the ids of the engine's containers."""
    door = find_door(address)
    own = find_own_container_id()
    is_beside = bool(own) and any(listed.startswith(own) or own.startswith(listed) for listed in listed_ids)
    if door and (reaches(door, exposure, is_beside) or publishes(door, exposure)):
        return door.purpose
    is_local = is_beside or door is None or door.host in LOOPBACK
    for lifeline in needs.lifelines if is_local else ():
        if reaches(lifeline, exposure, is_beside) or (lifeline.host in LOOPBACK and publishes(lifeline, exposure)):
            return lifeline.purpose
    return ""


def find_door(address: str) -> Lifeline | None:
    """Return where the console knocks for the engine; None for a socket."""
    try:
        parts = urlsplit(address)
        port = parts.port or {"tcp": 2375, "ssh": 22}.get(parts.scheme, 0)
    except ValueError:
        return None
    return Lifeline(parts.hostname, port, DOOR) if parts.hostname and port else None


def reaches(lifeline: Lifeline, exposure: Exposure, is_beside: bool) -> bool:
    return lifeline.host in exposure.addresses or (is_beside and lifeline.host in exposure.names)


def publishes(lifeline: Lifeline, exposure: Exposure) -> bool:
    """Return whether a connection to the lifeline's port of the host ends in the container."""
    return any(port == lifeline.port and is_heard_at(address, lifeline.host) for address, port in exposure.published)


def is_heard_at(address: str, host: str) -> bool:
    """Return whether a port that is published on `address` is the host's own one. A host's name can mean any address but the
    loopback."""
    if address in ANYWHERE or address == host:
        return True
    if host in LOOPBACK or address in LOOPBACK:
        return host in LOOPBACK and address in LOOPBACK
    return not (":" in host or host.replace(".", "").isdigit())


def read_listed_exposure(entry: Mapping[str, Any]) -> Exposure:
    """`entry` is one of the engine's list of containers."""
    ports = [port for port in entry.get("Ports") or [] if port.get("PublicPort") and port.get("Type", "tcp") == "tcp"]
    return Exposure(
        names=read_names([str(name) for name in entry.get("Names") or []], entry.get("Labels") or {}, {}),
        addresses=read_addresses((entry.get("NetworkSettings") or {}).get("Networks") or {}),
        published=frozenset((str(port.get("IP") or ""), int(port["PublicPort"])) for port in ports),
    )


def read_inspected_exposure(details: Mapping[str, Any]) -> Exposure:
    """`details` is the engine's inspection of a container."""
    settings = details.get("NetworkSettings") or {}
    networks = settings.get("Networks") or {}
    bindings = [
        (str(binding.get("HostIp") or ""), int(binding["HostPort"]))
        for port, found in ((details.get("HostConfig") or {}).get("PortBindings") or {}).items()
        for binding in found or []
        if port.endswith("/tcp") and str(binding.get("HostPort") or "").isdigit()
    ]
    return Exposure(
        names=read_names([str(details["Name"])], details["Config"].get("Labels") or {}, networks),
        addresses=read_addresses(networks),
        published=frozenset(bindings),
    )


def read_names(own: list[str], labels: Mapping[str, str], networks: Mapping[str, Any]) -> frozenset[str]:
    aliases = [str(alias) for network in networks.values() for alias in (network or {}).get("Aliases") or []]
    return frozenset(name for name in (*(name.lstrip("/") for name in own), labels.get(SERVICE_LABEL, ""), *aliases) if name)


def read_addresses(networks: Mapping[str, Any]) -> frozenset[str]:
    found = [str((network or {}).get(key) or "") for network in networks.values() for key in ("IPAddress", "GlobalIPv6Address")]
    return frozenset(address for address in found if address)

"""Parts of the entries in an engine's lists of containers and images."""

from collections.abc import Iterable
from typing import Any

from clusters.engine.cleaning import clean_text

PROTOCOL_LENGTH = 8


def read_port(port: dict[str, Any]) -> dict[str, Any]:
    return {
        "host": port["PublicPort"],
        "container": port["PrivatePort"],
        "protocol": clean_text(port.get("Type"), PROTOCOL_LENGTH),
    }


def sort_ports(ports: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each published port once: the engine lists it for IPv4 and again for IPv6."""
    unique = {(port["container"], port["protocol"], port["host"]): port for port in ports}
    return [port for _, port in sorted(unique.items())]


def list_repo_digests(image: dict[str, Any]) -> list[str]:
    return sorted(digest for digest in image.get("RepoDigests") or [] if not digest.startswith("<none>"))

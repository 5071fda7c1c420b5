"""Parts of the entries in an engine's lists of containers and images."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from clusters.engine.cleaning import NAME_LENGTH, clean_text
from clusters.engine.names import REFERENCE_LABEL

PROTOCOL_LENGTH = 8
IMAGE_ID = re.compile(r"(sha256:)?[0-9a-f]{12,64}")


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


def recall_reference(entry: dict[str, Any], known_images: Mapping[str, str]) -> str:
    """Return the reference from the list entry or from memory. The list shows the image's id once the tag has moved."""
    listed: str = entry.get("Image") or ""
    if listed and not IMAGE_ID.fullmatch(listed):
        return listed
    return known_images.get(entry["Id"]) or (entry.get("Labels") or {}).get(REFERENCE_LABEL, "")


def read_name(entry: dict[str, Any]) -> str:
    """Return the container's own name. Its other names are links of other containers to it (`/web/db`)."""
    names = [name.lstrip("/") for name in entry["Names"]]
    return clean_text(next((name for name in names if "/" not in name), names[0]), NAME_LENGTH)

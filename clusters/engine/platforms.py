"""Platforms of images, as `os/architecture` or `os/architecture/variant`: `linux/amd64`, `linux/arm/v6`."""

from collections.abc import Mapping
from typing import Any


def read_platform(image: Mapping[str, Any] | None) -> str:
    """Return the platform of an inspected image; empty if the image does not name it."""
    return join_platform((image or {}).get("Os"), (image or {}).get("Architecture"), (image or {}).get("Variant"))


def read_container_platform(details: Mapping[str, Any], image: Mapping[str, Any] | None) -> str:
    """Return the platform that a container runs: newer engines name it themselves, else it is its image's."""
    found = (details.get("ImageManifestDescriptor") or {}).get("platform") or {}
    return join_platform(found.get("os"), found.get("architecture"), found.get("variant")) or read_platform(image)


def join_platform(system: Any, architecture: Any, variant: Any) -> str:
    if not system or not architecture:
        return ""
    return f"{system}/{architecture}{f'/{variant}' if variant else ''}"


def differ(first: str, second: str) -> bool:
    """Return whether both platforms are known and have another system or architecture. Variants of one run side by side."""
    return bool(first and second) and first.split("/")[:2] != second.split("/")[:2]

"""What the inventory reads of an engine's list of images."""

from dataclasses import dataclass, field
from typing import Any

from clusters.engine.image_facts import read_image_facts


@dataclass(frozen=True)
class ListedImage:
    """An image of the engine: its digests, and what it says about itself (clusters.engine.image_facts)."""

    digests: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)


def read_listed_image(image: dict[str, Any]) -> ListedImage:
    return ListedImage(list_repo_digests(image), read_image_facts(image.get("Labels"), image.get("Created")))


def list_repo_digests(image: dict[str, Any]) -> list[str]:
    return sorted(digest for digest in image.get("RepoDigests") or [] if not digest.startswith("<none>"))

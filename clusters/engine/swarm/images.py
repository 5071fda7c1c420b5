"""Image references of services: the tag that a redeploy asks for, and the digest that it was pinned to."""

import re
from collections.abc import Mapping

from clusters.engine.references import is_digest_pinned

STACK_IMAGE_LABEL = "com.docker.stack.image"  # what the stack's file says, as `docker stack deploy` writes it
SHORT_DIGEST = 12
DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9+._-]*:[0-9A-Fa-f]{32,}")


def without_digest(image: str) -> str:
    return image.split("@", 1)[0]


def digest_of(image: str) -> str:
    """`sha256:…`; empty for a reference without one."""
    _, _, digest = image.partition("@")
    return digest if DIGEST.fullmatch(digest) else ""


def tag_of(image: str) -> str:
    """A registry's port is no tag."""
    return without_digest(image).rpartition("/")[2].partition(":")[2]


def find_reference(image: str, labels: Mapping[str, str]) -> str:
    """The reference to redeploy from. The digest belongs to it only where a person wrote it: then the stack's file has
    it too, or there is no tag beside it. Any other digest is what the tag meant at the last deployment."""
    if not is_digest_pinned(image):
        return image
    is_written = is_digest_pinned(labels.get(STACK_IMAGE_LABEL, "")) or not tag_of(image)
    return image if is_written else without_digest(image)


def pin(reference: str, digest: str) -> str:
    """`app:1@sha256:…`, `app:latest@sha256:…` without a tag."""
    tagged = reference if tag_of(reference) else f"{reference}:latest"
    return f"{tagged}@{digest}"


def shorten_image(image: str) -> str:
    """For a sentence: the digest by its first digits."""
    algorithm, colon, value = digest_of(image).partition(":")
    return f"{without_digest(image)}@{algorithm}{colon}{value[:SHORT_DIGEST]}" if value else image

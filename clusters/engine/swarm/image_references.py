"""Image references of services: the tag that a redeploy resolves, and the digest that it is pinned to."""

import re
from collections.abc import Mapping

from clusters.engine.references import is_digest_pinned

STACK_IMAGE_LABEL = "com.docker.stack.image"  # the image as the stack's file has it, written by `docker stack deploy`
SHORT_DIGEST = 12
DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9+._-]*:[0-9A-Fa-f]{32,}")


def without_digest(image: str) -> str:
    return image.split("@", 1)[0]


def digest_of(image: str) -> str:
    """Return the reference's digest, such as `sha256:…`, or an empty string if it has none."""
    _, _, digest = image.partition("@")
    return digest if DIGEST.fullmatch(digest) else ""


def tag_of(image: str) -> str:
    """Return the reference's tag, or an empty string if it has none. A registry's port is not a tag."""
    return without_digest(image).rpartition("/")[2].partition(":")[2]


def find_service_reference(image: str, labels: Mapping[str, str]) -> str:
    """Return the reference that a redeploy starts from.

    It keeps the digest only where a person wrote it: then the stack's file has it too, or there is no tag beside it. Any
    other digest is what the tag meant at the last deployment.
    """
    if not is_digest_pinned(image):
        return image
    is_written = is_digest_pinned(labels.get(STACK_IMAGE_LABEL, "")) or not tag_of(image)
    return image if is_written else without_digest(image)


def pin(reference: str, digest: str) -> str:
    """Return `app:1@sha256:…`; a reference without a tag becomes `app:latest@sha256:…`."""
    tagged = reference if tag_of(reference) else f"{reference}:latest"
    return f"{tagged}@{digest}"


def shorten_image(image: str) -> str:
    """Return the reference with only the first digits of its digest, to be shown in a sentence."""
    algorithm, colon, value = digest_of(image).partition(":")
    return f"{without_digest(image)}@{algorithm}{colon}{value[:SHORT_DIGEST]}" if value else image

"""Image references, as far as a redeploy needs to understand them."""

import re
from collections.abc import Iterable
from typing import Any

IMAGE_ID = re.compile(r"(?:sha256:)?[0-9a-f]{64}")
SHORT_IMAGE_ID = re.compile(r"(?:sha256:)?[0-9a-f]{6,63}")
DEFAULT_REGISTRIES = ("docker.io/", "index.docker.io/")


def is_image_id(reference: str, image_id: str) -> bool:
    """Return whether the reference is an id, whole or shortened. `cafe12` is a name unless `image_id` begins with it."""
    if not reference or IMAGE_ID.fullmatch(reference):
        return True
    bare = reference.removeprefix("sha256:")
    return bool(SHORT_IMAGE_ID.fullmatch(reference)) and image_id.removeprefix("sha256:").startswith(bare)


def is_digest_pinned(reference: str) -> bool:
    return "@" in reference


def repository_of(reference: str) -> str:
    """Return the repository as the engine writes it in RepoDigests: `app` for `docker.io/library/app:1`."""
    name = reference.split("@", 1)[0]
    head, slash, tail = name.rpartition("/")
    repository = f"{head}{slash}{tail.split(':', 1)[0]}"
    for registry in DEFAULT_REGISTRIES:
        repository = repository.removeprefix(registry)
    return repository.removeprefix("library/")


def came_from_registry(image: dict[str, Any], reference: str) -> bool:
    """Return whether a registry gave the local image a digest under the reference's repository.

    An engine with the containerd image store gives local builds a digest too, which is the image's own id.
    """
    digests = (digest.split("@", 1) for digest in image.get("RepoDigests") or [] if "@" in digest)
    return any(repository_of(name) == repository_of(reference) and digest != image["Id"] for name, digest in digests)


def share_digest(first: Iterable[str], second: Iterable[str]) -> bool:
    """Return whether two images, by their RepoDigests, come from one index, whatever the ids of their platforms."""
    return bool({digest.split("@", 1)[-1] for digest in first} & {digest.split("@", 1)[-1] for digest in second})


def shorten_image_id(image_id: str) -> str:
    """Return `sha256:` and 12 digits."""
    return image_id[: len("sha256:") + 12] if image_id.startswith("sha256:") else image_id[:12]

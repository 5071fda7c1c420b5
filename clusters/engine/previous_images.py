"""The image that a service ran before, in the form that a redeploy which returns to it is given."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from clusters.engine.references import IMAGE_ID, shorten_image_id
from clusters.engine.snapshot import ServiceSnapshot

DIGESTS = 5  # of an image, by which it can be pulled


@dataclass(frozen=True)
class PreviousImage:
    """An image that a service ran.

    `reference` is what the service was configured with, usually a tag. `image_id` is the image's id on a plain engine, and
    empty on a Swarm. `digests` are whole references such as `app@sha256:…`, on a Swarm `app:1@sha256:…`: a registry knows the
    image by them. One of the two is known.
    """

    reference: str
    image_id: str = ""
    digests: tuple[str, ...] = ()

    @property
    def keys(self) -> frozenset[str]:
        """The id and the bare digests. Images that have one of them in common are the same."""
        return frozenset(filter(None, (self.image_id, *(digest.rpartition("@")[2] for digest in self.digests))))

    @property
    def sources(self) -> tuple[str, ...]:
        """What an engine can know the image by, the id first."""
        return tuple(filter(None, (self.image_id, *self.digests)))

    @property
    def short(self) -> str:
        """The image's id, or its digest without the repository, shortened."""
        return shorten_image_id(self.sources[0].rpartition("@")[2]) if self.sources else ""

    def to_json(self) -> dict[str, Any]:
        return {"reference": self.reference, "image_id": self.image_id, "digests": list(self.digests)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        digests = value.get("digests")
        return cls(
            reference=str(value.get("reference") or ""),
            image_id=str(value.get("image_id") or ""),
            digests=tuple(str(digest) for digest in digests) if isinstance(digests, list) else (),
        )


def read_previous_images(value: Any) -> dict[str, PreviousImage]:
    """Read what is kept with a call (TriggerCall.returns_to): images by the names of services."""
    found = value.items() if isinstance(value, dict) else ()
    return {str(name): PreviousImage.from_json(image) for name, image in found if isinstance(image, dict)}


def find_main_image(service: ServiceSnapshot) -> PreviousImage | None:
    """Return the image that most of the service's containers or tasks ran; None if no id and no digest of it is known."""
    if not service.images:
        return None
    main = max(service.images, key=lambda key: (service.images[key], key))
    if not IMAGE_ID.fullmatch(main):
        return None
    own = [digest for digest in service.digests if digest.rpartition("@")[2] == main]
    if service.mode:
        return PreviousImage(service.image, digests=(own[0] if own else f"{service.image}@{main}",))
    # Which of several images has which digest is not in a snapshot.
    digests = service.digests if len(service.images) == 1 else own
    return PreviousImage(service.image, main, tuple(digests[:DIGESTS]))

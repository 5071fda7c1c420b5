"""The images of one engine, the containers that use them, and what refers to them without using them.

Images are read live, with two requests, or three on a Swarm manager. Everything else here is pure.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from clusters.engine.cleaning import IMAGE_LENGTH, LARGEST_SIZE, NAME_LENGTH, clean_count, clean_text
from clusters.engine.errors import EngineUnreachable, NotManager
from clusters.engine.inspection.list_entries import read_name
from clusters.engine.references import IMAGE_ID, repository_of

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

SHARED_SIZE_API = (1, 42)  # from this version on, an engine can measure what an image shares with others
NO_TAG, NO_DIGEST = "<none>:<none>", "<none>@<none>"
LASTING_STATES = {"running", "paused", "restarting"}
SORTS = ("name", "-name", "size", "-size", "created", "-created")


@dataclass(frozen=True)
class ImageUser:
    """A container that was created from the image."""

    container_id: str
    name: str
    is_running: bool


@dataclass(frozen=True)
class ImageNeed:
    """A reference to an image by name or id, from something that does not need to have a container of it now.

    `reason` continues "is kept: ". A `firm` need keeps the image whatever the user chooses.
    """

    reference: str
    reason: str
    firm: bool = False


@dataclass(frozen=True)
class EngineImage:
    """An image.

    `size` and `shared` are in bytes; `shared` is in other images too, and None where the engine does not measure it.
    """

    image_id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    created_at: datetime | None = None
    size: int = 0
    shared: int | None = None
    parent_id: str = ""
    users: tuple[ImageUser, ...] = ()
    needs: tuple[ImageNeed, ...] = ()
    children: tuple[str, ...] = ()  # ids of listed images that were built on it

    @property
    def name(self) -> str:
        """The name to show: its first tag, else its repository, else its short id."""
        if self.tags:
            return self.tags[0]
        return self.repository or self.hexadecimal[:12]

    @property
    def hexadecimal(self) -> str:
        """The id as used in URLs."""
        return self.image_id.removeprefix("sha256:")

    @property
    def repository(self) -> str:
        """The repository from its digests, which an image keeps when it loses its tag."""
        return self.digests[0].partition("@")[0] if self.digests else ""

    @property
    def name_parts(self) -> tuple[str, str]:
        """Its repository and `:tag`, so that a page can shorten the name between them."""
        repository, colon, tag = self.name.rpartition(":")
        return (repository, f":{tag}") if colon else (self.name, "")

    @property
    def other_tags(self) -> list[str]:
        """All tags but the first; without the repository where it is the same."""
        repository = self.name.rpartition(":")[0]
        return [tag.removeprefix(f"{repository}:") for tag in self.tags[1:]]

    @property
    def is_used(self) -> bool:
        return bool(self.users)

    @property
    def is_dangling(self) -> bool:
        """True for an image with no tag, no container and no child image."""
        return not self.tags and not self.users and not self.children

    @property
    def unique(self) -> int | None:
        """Bytes that are in no other image."""
        return None if self.shared is None else max(self.size - self.shared, 0)

    @property
    def fingerprint(self) -> str:
        """A value that changes when a tag is added, moved or removed."""
        return hashlib.sha256("\n".join(sorted(self.tags)).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class ImageTotals:
    count: int
    size: int  # the sum of all sizes: shared layers count once for each image
    unused: int
    dangling: int


def read_images(client: "EngineClient", needs: Iterable[ImageNeed] = (), swarm: bool = False) -> list[EngineImage]:
    """Return all images with their users and needs. With `swarm`, also the manager's previous images of its services.

    Raises EngineError.
    """
    entries = client.list_images(sizes=client.api_version >= SHARED_SIZE_API)
    users = map_users(client.list_containers())
    needs = [*needs, *(read_rollback_images(client) if swarm else ())]
    return link_children(attach_needs([read_image(entry, users) for entry in entries if is_image(entry)], needs))


def read_rollback_images(client: "EngineClient") -> list[ImageNeed]:
    """Return the images of the services' previous specs, which a rollback needs. Empty where Swarm does not answer."""
    try:
        services = client.list_services()
    except (NotManager, EngineUnreachable):
        return []
    found = [(service.get("Spec") or {}, service.get("PreviousSpec") or {}) for service in services]
    return [
        ImageNeed(image, f"the Swarm service {clean_text(spec.get('Name'), NAME_LENGTH)} would be rolled back to it")
        for spec, previous in found
        if (image := ((previous.get("TaskTemplate") or {}).get("ContainerSpec") or {}).get("Image"))
    ]


def map_users(containers: Iterable[Mapping[str, Any]]) -> dict[str, list[ImageUser]]:
    """Return the containers by the id of their image, also stopped ones: without it they could not be started again."""
    users: dict[str, list[ImageUser]] = defaultdict(list)
    for entry in containers:
        name = read_name(dict(entry)) if entry.get("Names") else str(entry["Id"])[:12]
        user = ImageUser(str(entry["Id"])[:64], name, entry.get("State") in LASTING_STATES)
        users[str(entry.get("ImageID"))].append(user)
    return {image_id: sorted(found, key=lambda one: (not one.is_running, one.name)) for image_id, found in users.items()}


def is_image(entry: Mapping[str, Any]) -> bool:
    return bool(IMAGE_ID.fullmatch(str(entry.get("Id"))))


def read_image(entry: Mapping[str, Any], users: Mapping[str, Sequence[ImageUser]]) -> EngineImage:
    """Read an entry of GET /images/json."""
    shared = entry.get("SharedSize", -1)
    created = clean_count(entry.get("Created"))
    return EngineImage(
        image_id=entry["Id"],
        tags=tuple(sorted(clean_text(tag, IMAGE_LENGTH) for tag in entry.get("RepoTags") or [] if tag != NO_TAG)),
        digests=tuple(sorted(clean_text(one, IMAGE_LENGTH) for one in entry.get("RepoDigests") or [] if one != NO_DIGEST)),
        created_at=datetime.fromtimestamp(created, UTC) if created else None,
        size=clean_count(entry.get("Size"), LARGEST_SIZE),
        shared=None if shared is None or shared < 0 else clean_count(shared, LARGEST_SIZE),
        parent_id=str(entry.get("ParentId") or ""),
        users=tuple(users.get(entry["Id"], ())),
    )


def attach_needs(images: Iterable[EngineImage], needs: Iterable[ImageNeed]) -> list[EngineImage]:
    """Return each image with the needs that refer to it, firm ones first."""
    by_key: dict[str, list[ImageNeed]] = defaultdict(list)
    for need in dict.fromkeys(needs):
        for key in list_keys(need.reference):
            by_key[key].append(need)
    return [replace(image, needs=find_needs(image, by_key)) for image in images]


def find_needs(image: EngineImage, by_key: Mapping[str, Sequence[ImageNeed]]) -> tuple[ImageNeed, ...]:
    keys = [image.image_id, *(key for reference in (*image.tags, *image.digests) for key in list_keys(reference))]
    found = dict.fromkeys(need for key in keys for need in by_key.get(key, ()))
    return tuple(sorted(found, key=lambda need: not need.firm))


def list_keys(reference: str) -> list[str]:
    """Return the keys that a reference matches: the id, or `repository:tag` and `repository@digest`. It can have both."""
    if not reference:
        return []
    if IMAGE_ID.fullmatch(reference):
        return [f"sha256:{reference.removeprefix('sha256:')}"]
    name, _, digest = reference.partition("@")
    repository = repository_of(name)
    tag = name.rpartition("/")[2].partition(":")[2]
    keys = [f"{repository}@{digest}"] if digest else []
    return keys + ([f"{repository}:{tag or 'latest'}"] if tag or not digest else [])


def link_children(images: Sequence[EngineImage]) -> list[EngineImage]:
    children: dict[str, list[str]] = defaultdict(list)
    for image in images:
        children[image.parent_id].append(image.image_id)
    return [replace(image, children=tuple(children.get(image.image_id, ()))) for image in images]


def total_images(images: Sequence[EngineImage]) -> ImageTotals:
    return ImageTotals(
        count=len(images),
        size=sum(image.size for image in images),
        unused=sum(not image.is_used for image in images),
        dangling=sum(image.is_dangling for image in images),
    )


def search_images(images: Iterable[EngineImage], query: str) -> list[EngineImage]:
    """Return the images with the query in a tag, a digest, the id or a container's name."""
    wanted = query.casefold()
    return [image for image in images if any(wanted in text.casefold() for text in list_texts(image))]


def list_texts(image: EngineImage) -> list[str]:
    return [*image.tags, *image.digests, image.image_id, *(user.name for user in image.users)]


def sort_images(images: Iterable[EngineImage], sort: str) -> list[EngineImage]:
    """Sort by one of SORTS. By name, images without a tag come last in both directions."""
    by_name = sorted(images, key=lambda image: (image.name.casefold(), image.image_id))
    is_reversed = sort.startswith("-")
    match sort.removeprefix("-"):
        case "size":
            return sorted(by_name, key=lambda image: image.size, reverse=is_reversed)
        case "created":
            return sorted(by_name, key=lambda image: image.created_at or EPOCH, reverse=is_reversed)
    return sorted(by_name[::-1] if is_reversed else by_name, key=lambda image: not image.tags)


EPOCH = datetime.fromtimestamp(0, UTC)

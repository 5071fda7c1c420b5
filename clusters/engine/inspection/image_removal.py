"""Chooses images to remove, for a preview, and removes exactly these, one by one and never by force."""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from clusters.engine.cleaning import clean_text
from clusters.engine.errors import EngineError, EngineRefused, EngineUnreachable, TargetMissing
from clusters.engine.inspection.images import EngineImage
from clusters.engine.references import repository_of

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

REMOVE_PATIENCE = 60.0  # seconds for one image: the engine deletes its layers before it answers
REMOVE_LIMIT = 120.0  # seconds after which no further removal starts: a user is waiting for the answer
NAMES_SHOWN = 3


class Scope(StrEnum):
    """The images that a prune considers: those without a tag, or all that no container uses."""

    DANGLING = "dangling"
    UNUSED = "unused"


@dataclass(frozen=True)
class KeptImage:
    """An image that is not removed. `reason` continues "is kept: "."""

    image: EngineImage
    reason: str


@dataclass(frozen=True)
class PruneChoice:
    """The result of choosing images for a prune.

    `going` is in the order of removal: children before their parents. `kept` are unused, but needed.
    """

    going: tuple[EngineImage, ...]
    kept: tuple[KeptImage, ...]
    used: int  # images that containers use

    @property
    def space(self) -> int:
        return add_sizes(self.going)

    @property
    def sure_space(self) -> int | None:
        return add_unique_sizes(self.going)


@dataclass(frozen=True)
class Removal:
    """The result of a removal. `gone` has the ids of images that no longer existed."""

    removed: tuple[EngineImage, ...]
    kept: tuple[KeptImage, ...]
    gone: tuple[str, ...]

    @property
    def space(self) -> int:
        return add_sizes(self.removed)


def add_sizes(images: Iterable[EngineImage]) -> int:
    """Return the most bytes that can become free: shared layers count too, also those shared with images that stay."""
    return sum(image.size for image in images)


def add_unique_sizes(images: Iterable[EngineImage]) -> int | None:
    """Return the bytes that certainly become free, or None where the engine does not measure what images share."""
    found = [image.unique for image in images]
    known = [size for size in found if size is not None]
    return sum(known) if len(known) == len(found) else None


def explain_hold(image: EngineImage, named: bool) -> str:
    """Return why the image must stay, or "" when it can be removed.

    With `named`, the user chose to remove also images that are only referred to.
    """
    if image.users:
        return describe_users(image)
    holding = [need for need in image.needs if need.firm or not named]
    return holding[0].reason if holding else ""


def describe_users(image: EngineImage) -> str:
    """Return "it is used by the running container web, the stopped container job and 2 more"."""
    shown = [f"the {'running' if user.is_running else 'stopped'} container {user.name}" for user in image.users[:NAMES_SHOWN]]
    more = len(image.users) - len(shown)
    words = [*shown, f"{more} more"] if more else shown
    return f"it is used by {' and '.join(filter(None, (', '.join(words[:-1]), words[-1])))}"


def choose_images(images: Sequence[EngineImage], scope: Scope, named: bool = False) -> PruneChoice:
    """Choose what a prune removes. `named` includes images that the cluster's applications and services only refer to."""
    known = {image.image_id: image for image in images}
    looked_at = [image for image in images if not image.is_used and (scope == Scope.UNUSED or not image.tags)]
    held = {image.image_id: reason for image in looked_at if (reason := explain_hold(image, named))}
    going = {image.image_id: image for image in looked_at if image.image_id not in held}
    while standing := [image for image in going.values() if any(child not in going for child in image.children)]:
        for image in standing:
            del going[image.image_id]
            held[image.image_id] = describe_children(image, known)
    ordered = sorted(going.values(), key=lambda image: (-count_ancestors(image, known), image.name, image.image_id))
    kept = tuple(KeptImage(image, held[image.image_id]) for image in looked_at if image.image_id in held)
    return PruneChoice(tuple(ordered), kept, sum(image.is_used for image in images))


def explain_stay(image: EngineImage, images: Sequence[EngineImage]) -> str:
    """Return why this one image cannot be removed, whatever the user chooses, or "" when it can."""
    if reason := explain_hold(image, named=True):
        return reason
    return describe_children(image, {one.image_id: one for one in images}) if image.children else ""


def choose_one(images: Sequence[EngineImage], image_id: str) -> PruneChoice:
    """Choose this one image, as a user did. It is kept only for the reasons of `explain_stay`."""
    found = [image for image in images if image.image_id == image_id]
    kept = tuple(KeptImage(image, reason) for image in found if (reason := explain_stay(image, images)))
    return PruneChoice(() if kept else tuple(found), kept, 0)


def describe_children(image: EngineImage, known: Mapping[str, EngineImage]) -> str:
    names = [known[child].name for child in image.children if child in known]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0] if names else 'another image'}{more} {'was' if len(names) == 1 else 'were'} built on it"


def count_ancestors(image: EngineImage, known: Mapping[str, EngineImage]) -> int:
    met: set[str] = set()
    while (parent := known.get(image.parent_id)) and parent.image_id not in met:
        met.add(parent.image_id)
        image = parent
    return len(met)


def remove_images(
    client: "EngineClient", previewed: Mapping[str, str], present: Sequence[EngineImage], choice: PruneChoice
) -> Removal:
    """Remove the images that were previewed and are still in `choice`.

    `previewed` has fingerprints by image id; `present` are the images that exist now. An image that cannot be removed is kept,
    with the reason; it raises no error.
    """
    known = {image.image_id: image for image in present}
    gone = [image_id for image_id in previewed if image_id not in known]
    allowed = {image.image_id for image in choice.going}
    held = {one.image.image_id: one.reason for one in choice.kept}
    kept = [
        KeptImage(known[image_id], held.get(image_id) or explain_hold(known[image_id], named=True) or "it has a tag now")
        for image_id in previewed
        if image_id in known and image_id not in allowed
    ]
    removed: list[EngineImage] = []
    deadline = time.monotonic() + REMOVE_LIMIT
    lost = ""
    for image in choice.going:
        if image.image_id not in previewed:
            continue
        if time.monotonic() > deadline:
            lost = lost or "the time limit was reached. Prune again to remove it"
        reason = lost
        try:
            if not lost:
                reason = remove_image(client, image, previewed[image.image_id])
        except TargetMissing:
            gone.append(image.image_id)
            continue
        except EngineUnreachable as error:
            reason = lost = f"the engine stopped answering: {clean_text(error.message, 300)}"
        if reason:
            kept.append(KeptImage(image, reason.rstrip(".")))
        else:
            removed.append(image)
    return Removal(tuple(removed), tuple(kept), tuple(gone))


def remove_image(client: "EngineClient", image: EngineImage, fingerprint: str) -> str:
    """Remove the image with all its tags, unless they no longer match `fingerprint`. Return why it stays, or "".

    It is removed by its id, because a tag can move to another image meanwhile. The engine removes by id only an image with one
    tag, so further tags are removed first, and restored where the engine then refuses. Raises TargetMissing, EngineUnreachable.
    """
    if image.fingerprint != fingerprint:
        return "its tags have changed since the preview"
    taken: list[str] = []
    try:
        with client.patience(REMOVE_PATIENCE):
            for reference in list_spare_references(image):
                if client.inspect_image(reference)["Id"] != image.image_id:
                    raise EngineRefused("its tags have changed since the preview")
                client.remove_image(reference)
                taken.append(reference)
            client.remove_image(image.image_id)
    except EngineRefused as error:
        for reference in taken:
            restore_reference(client, image, reference)
        return clean_text(error.message, 300)
    return ""


def list_spare_references(image: EngineImage) -> list[str]:
    """Return all tags but the first, and the digests of other repositories: with these the engine refuses the id."""
    first = (image.tags or image.digests or ("",))[0]
    return [*image.tags[1:], *(one for one in image.digests if repository_of(one) != repository_of(first))]


def restore_reference(client: "EngineClient", image: EngineImage, reference: str) -> None:
    """Restore a tag. A digest cannot be restored; only a name is lost with it, which the registry still knows."""
    if "@" not in reference:
        with suppress(EngineError):
            client.tag_image(image.image_id, reference)

"""Which images may go, said before anything is touched, and the removal of exactly those, one by one and never by force."""

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

REMOVE_PATIENCE = 60.0  # seconds for one image: its layers are deleted before the engine answers
REMOVE_LIMIT = 120.0  # seconds after which no further image is begun: somebody waits for the answer
NAMES_SHOWN = 3


class Scope(StrEnum):
    """What a prune looks at: images without a tag, or all that no container uses."""

    DANGLING = "dangling"
    UNUSED = "unused"


@dataclass(frozen=True)
class KeptImage:
    """`reason` goes on after the image's name and "is kept: "."""

    image: EngineImage
    reason: str


@dataclass(frozen=True)
class PruneChoice:
    """`going` in the order of removal: what was built on an image comes before it. `kept`: unused, and yet held back."""

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
    """What came of it. `gone`: ids that were not there any more."""

    removed: tuple[EngineImage, ...]
    kept: tuple[KeptImage, ...]
    gone: tuple[str, ...]

    @property
    def space(self) -> int:
        return add_sizes(self.removed)


def add_sizes(images: Iterable[EngineImage]) -> int:
    """Bytes; what the images share with each other or with those that stay is counted in: the most that can become free."""
    return sum(image.size for image in images)


def add_unique_sizes(images: Iterable[EngineImage]) -> int | None:
    """Bytes that become free for certain; None where the engine does not tell what images share."""
    found = [image.unique for image in images]
    known = [size for size in found if size is not None]
    return sum(known) if len(known) == len(found) else None


def explain_hold(image: EngineImage, named: bool) -> str:
    """Why the image may not go; empty when it may. `named`: people chose to remove also what is only referred to."""
    if image.users:
        return describe_users(image)
    holding = [need for need in image.needs if need.firm or not named]
    return holding[0].reason if holding else ""


def describe_users(image: EngineImage) -> str:
    """ "it is used by the running container web, the stopped container job and 2 more"."""
    shown = [f"the {'running' if user.is_running else 'stopped'} container {user.name}" for user in image.users[:NAMES_SHOWN]]
    more = len(image.users) - len(shown)
    words = [*shown, f"{more} more"] if more else shown
    return f"it is used by {' and '.join(filter(None, (', '.join(words[:-1]), words[-1])))}"


def choose_images(images: Sequence[EngineImage], scope: Scope, named: bool = False) -> PruneChoice:
    """`named`: also those that applications and services of the cluster refer to without using them now."""
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
    """Why this one image cannot be removed by itself, whatever people choose; empty when it can."""
    if reason := explain_hold(image, named=True):
        return reason
    return describe_children(image, {one.image_id: one for one in images}) if image.children else ""


def choose_one(images: Sequence[EngineImage], image_id: str) -> PruneChoice:
    """This one image, chosen by somebody: only what `explain_stay` says holds it."""
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
    """Remove what was previewed (fingerprints by image id) and is still in `choice`, of the images `present` now.

    Raises nothing for one that cannot be removed: it is kept, with the reason.
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
            lost = lost or "there was no time left for it; prune again"
        reason = lost
        try:
            if not lost:
                reason = remove_image(client, image, previewed[image.image_id])
        except TargetMissing:
            gone.append(image.image_id)
            continue
        except EngineUnreachable as error:
            reason = lost = f"the engine was lost: {clean_text(error.message, 300)}"
        if reason:
            kept.append(KeptImage(image, reason.rstrip(".")))
        else:
            removed.append(image)
    return Removal(tuple(removed), tuple(kept), tuple(gone))


def remove_image(client: "EngineClient", image: EngineImage, fingerprint: str) -> str:
    """Remove the image with all its tags, unless those differ from what `fingerprint` stands for. Why it stays; empty when
    it is gone.

    By its id, not by a tag: a tag may have moved to another image. The engine removes by id what has one tag; further ones
    are taken off before, and put on again where it then refuses. Raises TargetMissing, EngineUnreachable.
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
            put_back(client, image, reference)
        return clean_text(error.message, 300)
    return ""


def list_spare_references(image: EngineImage) -> list[str]:
    """All tags but the first, and the digests in repositories other than its: with these the engine refuses an id."""
    first = (image.tags or image.digests or ("",))[0]
    return [*image.tags[1:], *(one for one in image.digests if repository_of(one) != repository_of(first))]


def put_back(client: "EngineClient", image: EngineImage, reference: str) -> None:
    """A tag; a digest cannot be given back, and nothing is lost with it but a name that the registry knows."""
    if "@" not in reference:
        with suppress(EngineError):
            client.tag_image(image.image_id, reference)

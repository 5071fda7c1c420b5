"""Choose and remove the images that redeploys have replaced, where a label says how many of them to keep."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from clusters.engine import names
from clusters.engine.driver import KeepLabel
from clusters.engine.inspection.image_removal import PruneChoice, Removal, remove_images
from clusters.engine.inspection.images import EngineImage
from clusters.engine.references import is_image_id, repository_of
from clusters.engine.wording import cut

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

LARGEST = 1000
EPOCH = datetime.fromtimestamp(0, UTC)


def read_limits(labels: Iterable[KeepLabel]) -> tuple[dict[str, int], list[str]]:
    """Return how many replaced images to keep, by repository, and a sentence for each label that is no such number.

    Where labels differ, the largest number counts. Nothing of a repository is removed if one of its labels cannot be read.
    """
    limits: dict[str, int] = {}
    unread: dict[str, str] = {}
    for label in labels:
        repository = "" if is_image_id(label.reference, "") else repository_of(label.reference)
        number = int(label.text) if label.text.isascii() and label.text.isdigit() and len(label.text) < 5 else None
        if number is None or number > LARGEST:
            what = f"The label {names.KEEP_IMAGES_LABEL} of {label.service} is no number up to {LARGEST}: {cut(label.text)}"
            unread[repository] = f"{what}. No image of {cut(repository)} is removed."
        elif repository:
            limits[repository] = max(number, limits.get(repository, 0))
    return {key: number for key, number in limits.items() if key not in unread}, list(unread.values())


def choose_replaced(
    images: Sequence[EngineImage], limits: Mapping[str, int], replaced: Collection[str]
) -> tuple[EngineImage, ...]:
    """Return the images to remove.

    `replaced`: ids and digests of the images that ran before. An image that has lost its tag to a newer one has been replaced.
    One with a tag, a container, a child image, a need of others or a digest in another repository always stays. Of each
    repository the newest ones stay, first of all those that have just been replaced.
    """
    by_repository: dict[str, list[EngineImage]] = defaultdict(list)
    for image in images:
        found = {repository_of(digest) for digest in image.digests}
        if not found and is_among(image, replaced) and len(limits) == 1:  # built here: only the call itself shows whose it was
            found = set(limits)
        if len(found) == 1 and not (image.tags or image.users or image.children or image.needs):
            by_repository[found.pop()].append(image)
    chosen: list[EngineImage] = []
    for repository, limit in limits.items():
        ordered = sorted(
            by_repository[repository],
            key=lambda image: (is_among(image, replaced), image.created_at or EPOCH, image.image_id),
            reverse=True,
        )
        chosen += ordered[limit:]
    return tuple(chosen)


def is_among(image: EngineImage, replaced: Collection[str]) -> bool:
    return image.image_id in replaced or any(digest.partition("@")[2] in replaced for digest in image.digests)


def remove_replaced(client: "EngineClient", images: Sequence[EngineImage], chosen: Sequence[EngineImage]) -> Removal:
    """Remove the chosen ones of `images`. One that cannot be removed is kept, with the reason."""
    previewed = {image.image_id: image.fingerprint for image in chosen}
    return remove_images(client, previewed, images, PruneChoice(tuple(chosen), (), 0))

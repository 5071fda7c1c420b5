"""Rows of the images page: an engine's images with the applications that use each, and what else refers to it."""

from collections.abc import Iterable
from dataclasses import dataclass

from clusters.engine.inspection.images import EngineImage, read_images
from clusters.models import Cluster, Container, Task
from console.pages.shared.live import open_engine
from triggers.image_needs import gather_needs


@dataclass
class ImageUse:
    """The containers of one application that were created from an image.

    `application_id` is None for a container that belongs to no application.
    """

    name: str
    application_id: int | None
    running: int = 0
    stopped: int = 0


@dataclass(frozen=True)
class ImageRow:
    image: EngineImage
    uses: list[ImageUse]


def read_cluster_images(cluster: Cluster) -> list[EngineImage]:
    """Read the images of the engine at the cluster's address. Raises EngineError."""
    needs = gather_needs(cluster)
    with open_engine(cluster) as client:
        return read_images(client, needs, swarm=cluster.swarm_manager)


def make_rows(cluster: Cluster, images: Iterable[EngineImage]) -> list[ImageRow]:
    shown = list(images)
    owners = find_owners(cluster, {user.container_id for image in shown for user in image.users})
    return [ImageRow(image, group_users(image, owners)) for image in shown]


def find_owners(cluster: Cluster, container_ids: set[str]) -> dict[str, tuple[int, str]]:
    """Return id and name of the application of each known container. A Swarm's containers are known by their tasks."""
    known: dict[str, tuple[int, str]] = {}
    for model in (Container, Task):
        rows = model._default_manager.filter(service__application__cluster=cluster, container_id__in=container_ids).values_list(
            "container_id", "service__application_id", "service__application__name"
        )
        known |= {container_id: (application_id, name) for container_id, application_id, name in rows}
    return known


def group_users(image: EngineImage, owners: dict[str, tuple[int, str]]) -> list[ImageUse]:
    uses: dict[object, ImageUse] = {}
    for user in image.users:
        application_id, name = owners.get(user.container_id, (None, user.name))
        use = uses.setdefault(application_id or user.container_id, ImageUse(name, application_id))
        if user.is_running:
            use.running += 1
        else:
            use.stopped += 1
    return list(uses.values())

"""How much disk space an engine's images, containers, volumes and build cache use, and how much can be reclaimed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clusters.engine.cleaning import LARGEST_SIZE, clean_count

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

DISK_PATIENCE = 20.0  # seconds: the engine measures volumes and containers for its answer

Json = Mapping[str, Any]


@dataclass(frozen=True)
class DiskShare:
    """The share of one kind of object. `size` and `reclaimable` are in bytes.

    With `at_least`, more can be reclaimed: layers that only unused images share are not counted.
    """

    name: str
    count: int
    used: int
    size: int
    reclaimable: int
    at_least: bool = False


@dataclass(frozen=True)
class DiskUsage:
    shares: tuple[DiskShare, ...]

    @property
    def size(self) -> int:
        return sum(share.size for share in self.shares)

    @property
    def reclaimable(self) -> int:
        return sum(share.reclaimable for share in self.shares)


def read_disk_usage(client: "EngineClient") -> DiskUsage:
    """Raises EngineError."""
    with client.patience(DISK_PATIENCE):
        answer = client.disk_usage()
    return DiskUsage(
        (
            measure_images(answer.get("Images") or [], read_byte_count(answer, "LayersSize")),
            measure_containers(answer.get("Containers") or []),
            measure_volumes(answer.get("Volumes") or []),
            measure_build_cache(answer.get("BuildCache") or []),
        )
    )


def measure_images(images: Iterable[Json], layers_size: int) -> DiskShare:
    """`layers_size` is the size of all layers, each counted once."""
    found = list(images)
    unused = [image for image in found if not clean_count(image.get("Containers"))]
    own = sum(max(read_byte_count(image, "Size") - read_byte_count(image, "SharedSize"), 0) for image in unused)
    return DiskShare("Images", len(found), len(found) - len(unused), layers_size, own, at_least=bool(unused))


def measure_containers(containers: Iterable[Json]) -> DiskShare:
    """Measure the containers' writable layers. Those of stopped containers can be reclaimed."""
    found = list(containers)
    stopped = [one for one in found if one.get("State") not in {"running", "paused", "restarting"}]
    return DiskShare(
        "Containers", len(found), len(found) - len(stopped), sum_sizes(found, "SizeRw"), sum_sizes(stopped, "SizeRw")
    )


def measure_volumes(volumes: Iterable[Json]) -> DiskShare:
    """Measure the volumes. The engine knows sizes of the local driver only; others have -1, which counts as 0."""
    found = [(volume.get("UsageData") or {}) for volume in volumes]
    unused = [one for one in found if one.get("RefCount") == 0]
    return DiskShare("Volumes", len(found), len(found) - len(unused), sum_sizes(found, "Size"), sum_sizes(unused, "Size"))


def measure_build_cache(records: Iterable[Json]) -> DiskShare:
    """Measure the build cache. A shared record is an image's layer and is counted there."""
    found = list(records)
    own = [one for one in found if not one.get("Shared")]
    unused = [one for one in own if not one.get("InUse")]
    used = sum(bool(one.get("InUse")) for one in found)
    return DiskShare("Build cache", len(found), used, sum_sizes(own, "Size"), sum_sizes(unused, "Size"))


def sum_sizes(entries: Iterable[Json], name: str) -> int:
    return sum(read_byte_count(entry, name) for entry in entries)


def read_byte_count(entry: Json, name: str) -> int:
    return clean_count(entry.get(name), LARGEST_SIZE)

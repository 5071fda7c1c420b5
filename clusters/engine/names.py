"""Container names and labels: the application that a container belongs to, and the progress of an unfinished recreate.

A recreate keeps its progress in container names alone. It creates the new container as `NAME.windlass-new.OLD12.M` and
parks the old one as `NAME.windlass-old.OLD12.M`, or as `NAME.windlass-kept.OLD12.M` while the new one has the name already
but has not proved healthy. OLD12 is the old container's short id, and M its state: `r` running, `s` stopped. If the engine
removes the old container when it stops (AutoRemove), a copy that was never started, the spare, has the parked name; its own
id is not OLD12. A scale-in renames a container to `NAME.windlass-gone.OLD12.M` before it stops it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeVar, cast

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
NUMBER_LABEL = "com.docker.compose.container-number"
ONEOFF_LABEL = "com.docker.compose.oneoff"
COMPOSE_IMAGE_LABEL = "com.docker.compose.image"
COMPOSE_REPLACE_LABEL = "com.docker.compose.replace"
DEPENDS_ON_LABEL = "com.docker.compose.depends_on"
SWARM_LABELS = ("com.docker.swarm.task.id", "com.docker.swarm.service.id")

APPLICATION_LABEL = "windlass.application"  # on clones of a lone container
CLONE_SERVICE_LABEL = "windlass.service"
CLONE_NUMBER_LABEL = "windlass.number"
CLONE_LABEL = "windlass.clone"  # on each container that a scale-out created
REFERENCE_LABEL = "windlass.image"  # the image reference of a container that had to be created from an image id
PROTECTED_LABEL = "windlass.protected"
SYSTEM_LABEL = "windlass.system"
ORDER_LABEL = "windlass.update.order"
MONITOR_LABEL = "windlass.update.monitor"
PARALLELISM_LABEL = "windlass.update.parallelism"
PULL_LABEL = "windlass.update.pull"
STOPPED_LABEL = "windlass.update.stopped"
FILES_LABEL = "windlass.update.files"
PREDEPLOY_LABEL = "windlass.predeploy"
PREDEPLOY_ENTRYPOINT_LABEL = "windlass.predeploy.entrypoint"
PREDEPLOY_TIMEOUT_LABEL = "windlass.predeploy.timeout"
CHECK_LABEL = "windlass.check"
CHECK_IMAGE_LABEL = "windlass.check.image"
CHECK_TIMEOUT_LABEL = "windlass.check.timeout"
KEEP_IMAGES_LABEL = "windlass.keep-images"
HOOK_LABEL = "windlass.hook"  # on one-off containers and jobs of Windlass's own: what they are for
HOOK_CALL_LABEL = "windlass.hook.call"  # the call that they were made for
FREEZE_LABEL = "windlass.freeze"
LEAST_AGE_LABEL = "windlass.least-age"

COMPOSE_PREFIX = re.compile(r"(?:[0-9a-f]{12}_)+(?=.)", re.DOTALL)
TEMPORARY_NAME = re.compile(
    r"(?P<base>.+)\.windlass-(?P<role>new|old|kept|gone)\.(?P<old>[0-9a-f]{12})\.(?P<mode>[rs])", re.DOTALL
)
HOOK_NAME = re.compile(r".+\.windlass-(?:predeploy|check)", re.DOTALL)
CONTAINER_ID_IN_PATH = re.compile(
    r"/(?:docker|containers|overlay-containers|docker-|libpod-|cri-containerd-)[/-]?([0-9a-f]{64})"
)

Role = Literal["new", "old", "kept", "gone"]
Item = TypeVar("Item")


@dataclass(frozen=True)
class TemporaryName:
    """A container's name during a recreate. `base` is its name before and after."""

    base: str
    role: Role
    old_id: str  # 12 hex digits
    was_running: bool

    def __str__(self) -> str:
        return f"{self.base}.windlass-{self.role}.{self.old_id}.{'r' if self.was_running else 's'}"


def parse_temporary_name(name: str) -> TemporaryName | None:
    """Parse a recreate's temporary name; None for any other name."""
    found = TEMPORARY_NAME.fullmatch(name.lstrip("/"))
    if not found:
        return None
    return TemporaryName(found["base"], cast(Role, found["role"]), found["old"], found["mode"] == "r")


def own_name(name: str, labels: Mapping[str, str]) -> str:
    """Return the name without what Compose puts before it while it recreates a container: `0123456789ab_shop_web_1`.

    An unfinished recreate by Compose leaves such a name.
    """
    bare, project = name.lstrip("/"), labels.get(PROJECT_LABEL)
    if not project or bare.startswith((f"{project}_", f"{project}-")):
        return bare
    return COMPOSE_PREFIX.sub("", bare, count=1) if COMPOSE_PREFIX.match(bare) else bare


def base_name(name: str) -> str:
    """Return the name without what an unfinished recreate appended."""
    temporary = parse_temporary_name(name)
    return temporary.base if temporary else name.lstrip("/")


def merge_pairs(items: Iterable[Item], name_of: Callable[[Item], str], is_running: Callable[[Item], bool]) -> list[Item]:
    """Return one item for each base name: of an unfinished pair the running one, else the one that has the name.

    Leave out the containers that a scale-in is about to remove.
    """
    best: dict[str, Item] = {}
    for item in items:
        temporary = parse_temporary_name(name_of(item))
        if temporary and temporary.role == "gone":
            continue
        base = base_name(name_of(item))
        rank = (is_running(item), name_of(item).lstrip("/") == base)
        if base not in best or rank > (is_running(best[base]), name_of(best[base]).lstrip("/") == base):
            best[base] = item
    return list(best.values())


@dataclass(frozen=True)
class Place:
    """The place of a container in an application.

    `source` is an Application.Source. `number` counts like Compose's; a lone original has 1.
    """

    source: Literal["compose", "container"]
    application: str
    service: str
    number: int


def find_place(name: str, labels: Mapping[str, str]) -> Place | None:
    """Return the place that the labels give; None for one-off containers, Compose's (`docker compose run`) and our own, and for
    Swarm's tasks."""
    if labels.get(ONEOFF_LABEL, "").lower() == "true" or is_hook(name, labels):
        return None
    return find_place_of_any(name, labels)


def find_place_of_any(name: str, labels: Mapping[str, str]) -> Place | None:
    """Return the same, but for a one-off container the place of the service that it was made for."""
    if any(label in labels for label in SWARM_LABELS):
        return None
    base = base_name(own_name(name, labels))
    if project := labels.get(PROJECT_LABEL):
        return Place("compose", project, labels.get(SERVICE_LABEL) or base, read_container_number(labels.get(NUMBER_LABEL)))
    application = labels.get(APPLICATION_LABEL) or base
    service = labels.get(CLONE_SERVICE_LABEL) or application
    return Place("container", application, service, read_container_number(labels.get(CLONE_NUMBER_LABEL)))


def is_hook(name: str, labels: Mapping[str, str]) -> bool:
    """Return whether the container is a one-off of Windlass's own. An image can have the label too, but no name."""
    return HOOK_LABEL in labels and HOOK_NAME.fullmatch(name.lstrip("/")) is not None


def read_container_number(text: str | None) -> int:
    """Parse a label's container number; 1 if it is missing or invalid."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 1


def is_true(text: str | None) -> bool:
    return (text or "").strip().lower() in {"true", "1", "yes"}


@cache
def find_own_container_id() -> str:
    """Return the id of the container that this process runs in; empty outside of one."""
    for path in ("/proc/self/mountinfo", "/proc/self/cgroup"):
        try:
            text = Path(path).read_text(errors="replace")
        except OSError:
            continue
        if found := parse_container_id(text):
            return found
    return ""


def parse_container_id(text: str) -> str:
    """Find the container's id in the text of /proc/self/mountinfo (the engine mounts files of its own) or /proc/self/cgroup."""
    for line in text.splitlines():
        mount = line.split(" ")
        is_own_file = len(mount) > 4 and mount[4] in {"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"}
        is_cgroup = re.match(r"\d+:[^:]*:", line)
        if (is_own_file or is_cgroup) and (found := CONTAINER_ID_IN_PATH.search(line)):
            return found[1]
    return ""

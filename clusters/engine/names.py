"""Names and labels: which application a container belongs to, and what an unfinished recreate leaves to be read.

A recreate keeps its progress in container names alone. The new container is created as `NAME.windlass-new.OLD12.M` and
the old one parked as `NAME.windlass-old.OLD12.M`, where OLD12 is the old one's short id and M says whether it ran:
`r` running, `s` stopped. For an old container that vanishes when it stops (AutoRemove) a never-started copy, the spare,
has the parked name; its own id is not OLD12. What a scale-in removes is called `NAME.windlass-gone.OLD12.M` from before
its stop on.
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
CLONE_LABEL = "windlass.clone"  # on every container that a scale-out made
REFERENCE_LABEL = "windlass.image"  # the image reference of a container that had to be made from an image id
PROTECTED_LABEL = "windlass.protected"
SYSTEM_LABEL = "windlass.system"
ORDER_LABEL = "windlass.update.order"
MONITOR_LABEL = "windlass.update.monitor"
PARALLELISM_LABEL = "windlass.update.parallelism"
PULL_LABEL = "windlass.update.pull"

TEMPORARY_NAME = re.compile(r"(?P<base>.+)\.windlass-(?P<role>new|old|gone)\.(?P<old>[0-9a-f]{12})\.(?P<mode>[rs])", re.DOTALL)
CONTAINER_ID_IN_PATH = re.compile(r"/(?:docker|containers|docker-|cri-containerd-)[/-]?([0-9a-f]{64})")

Role = Literal["new", "old", "gone"]
Item = TypeVar("Item")


@dataclass(frozen=True)
class TemporaryName:
    """`base` is the name the container has, or had, when nothing is under way."""

    base: str
    role: Role
    old_id: str  # 12 hex digits
    was_running: bool

    def __str__(self) -> str:
        return f"{self.base}.windlass-{self.role}.{self.old_id}.{'r' if self.was_running else 's'}"


def parse_temporary_name(name: str) -> TemporaryName | None:
    """What a recreate's temporary name says; None for any other name."""
    found = TEMPORARY_NAME.fullmatch(name.lstrip("/"))
    if not found:
        return None
    return TemporaryName(found["base"], cast(Role, found["role"]), found["old"], found["mode"] == "r")


def base_name(name: str) -> str:
    """The name without what an unfinished recreate appended."""
    temporary = parse_temporary_name(name)
    return temporary.base if temporary else name.lstrip("/")


def merge_pairs(items: Iterable[Item], name_of: Callable[[Item], str], is_running: Callable[[Item], bool]) -> list[Item]:
    """One item for each base name: of an unfinished pair the one that runs, else the one that has the name.

    What a scale-in is about to remove is left out.
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
    """Where a container belongs: `source` as Application.Source; `number` as Compose counts, 1 for a lone original."""

    source: Literal["compose", "container"]
    application: str
    service: str
    number: int


def find_place(name: str, labels: Mapping[str, str]) -> Place | None:
    """None for Swarm's tasks and Compose's one-off containers (`docker compose run`)."""
    if labels.get(ONEOFF_LABEL, "").lower() == "true" or any(label in labels for label in SWARM_LABELS):
        return None
    base = base_name(name)
    if project := labels.get(PROJECT_LABEL):
        return Place("compose", project, labels.get(SERVICE_LABEL) or base, read_number(labels.get(NUMBER_LABEL)))
    application = labels.get(APPLICATION_LABEL) or base
    service = labels.get(CLONE_SERVICE_LABEL) or application
    return Place("container", application, service, read_number(labels.get(CLONE_NUMBER_LABEL)))


def read_number(text: str | None) -> int:
    """A container number from a label, 1 when there is none that can be read."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 1


def is_true(text: str | None) -> bool:
    return (text or "").strip().lower() in {"true", "1", "yes"}


@cache
def find_own_container_id() -> str:
    """The id of the container this process runs in; empty outside of one."""
    for path in ("/proc/self/mountinfo", "/proc/self/cgroup"):
        try:
            text = Path(path).read_text(errors="replace")
        except OSError:
            continue
        if found := read_container_id(text):
            return found
    return ""


def read_container_id(text: str) -> str:
    """The container's id as /proc/self/mountinfo (the engine's own files mounted into it) or /proc/self/cgroup tell it."""
    for line in text.splitlines():
        mount = line.split(" ")
        is_own_file = len(mount) > 4 and mount[4] in {"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"}
        is_cgroup = re.match(r"\d+:[^:]*:", line)
        if (is_own_file or is_cgroup) and (found := CONTAINER_ID_IN_PATH.search(line)):
            return found[1]
    return ""

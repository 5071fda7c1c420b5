"""The tasks of a Swarm at a glance, from the JSON of `GET /tasks`, and the choice of those that are kept."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from clusters.engine.cleaning import IMAGE_LENGTH, TEXT_LENGTH, clean_count, clean_text, read_time
from clusters.engine.references import repository_of

# The states that Swarm can want of a task that is not over; `complete` is a job's.
WANTED_STATES = ("ready", "running", "complete")
ENDED_STATES = frozenset({"complete", "failed", "rejected", "shutdown", "remove", "orphaned"})
FAILED_TASK_STATES = frozenset({"failed", "rejected", "orphaned"})
PAST_OF_SLOT = 5
PAST_OF_SERVICE = 500


@dataclass(frozen=True)
class ObservedTask:
    """A task with the fields of models.Task."""

    task_id: str
    slot: int
    node_id: str
    node_name: str
    state: str
    desired_state: str
    message: str = ""
    error: str = ""
    exit_code: int | None = None
    image: str = ""
    container_id: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def place(self) -> tuple[int, str]:
        """The task's slot, or its node's id if the service has one task on each node."""
        return (self.slot, "" if self.slot else self.node_id)

    @property
    def is_past(self) -> bool:
        return self.desired_state not in WANTED_STATES or self.state in ENDED_STATES


def read_task(task: Mapping[str, Any], hostnames: Mapping[str, str]) -> ObservedTask:
    """`hostnames` is by node id."""
    status = task.get("Status") or {}
    state = read_task_state(task)
    container = status.get("ContainerStatus") or {}
    has_ended = state in ENDED_STATES and bool(container.get("ContainerID"))
    node_id = clean_text(task.get("NodeID"), 64)
    return ObservedTask(
        task_id=clean_text(task["ID"], 64),
        slot=clean_count(task.get("Slot")),
        node_id=node_id,
        node_name=hostnames.get(node_id, ""),
        state=state,
        desired_state=clean_text(task.get("DesiredState"), 16),
        message=clean_text(status.get("Message"), TEXT_LENGTH),
        error=clean_text(status.get("Err"), TEXT_LENGTH),
        exit_code=clean_count(container.get("ExitCode")) if has_ended else None,
        image=split_image(clean_text(((task.get("Spec") or {}).get("ContainerSpec") or {}).get("Image"), IMAGE_LENGTH))[0],
        container_id=clean_text(container.get("ContainerID"), 64),
        created_at=read_time(task.get("CreatedAt")),
        updated_at=read_time(status.get("Timestamp")),
    )


def read_task_state(task: Mapping[str, Any]) -> str:
    return clean_text((task.get("Status") or {}).get("State"), 16)


def read_task_container(task: Mapping[str, Any]) -> str:
    """Return the id of the task's container, or an empty string if it has none."""
    return ((task.get("Status") or {}).get("ContainerStatus") or {}).get("ContainerID") or ""


def place_of_task(task: Mapping[str, Any]) -> int | str:
    return task.get("Slot") or task.get("NodeID") or task["ID"]


def count_running_by_node(tasks: Iterable[Mapping[str, Any]]) -> Mapping[str, int]:
    """Return the number of running tasks by node id; 0 for nodes without any."""
    running: dict[str, int] = defaultdict(int)
    for task in tasks:
        if task["DesiredState"] in WANTED_STATES and read_task_state(task) == "running":
            running[task.get("NodeID") or ""] += 1
    return running


def split_image(reference: str) -> tuple[str, list[str]]:
    """Return the reference without the digest that was resolved for it, and `name@sha256:…` in a list.

    A reference without a tag keeps its digest: that is what it names.
    """
    name, at, digest = reference.partition("@")
    if not at:
        return reference, []
    has_tag = ":" in name.rpartition("/")[2]
    return (name if has_tag else reference), [f"{repository_of(reference)}@{digest}"]


# The tasks that are kept


def sort_newest_first(tasks: Iterable[ObservedTask]) -> list[ObservedTask]:
    def by_creation(task: ObservedTask) -> tuple[float, str]:
        return task.created_at.timestamp() if task.created_at else 0.0, task.task_id

    return sorted(tasks, key=by_creation, reverse=True)


def keep_tasks(tasks: Iterable[ObservedTask]) -> tuple[ObservedTask, ...]:
    """Return all tasks that are not over and a bounded number of those that are. `tasks` must start with the newest."""
    present: list[ObservedTask] = []
    past: list[ObservedTask] = []
    for task in tasks:
        (past if task.is_past else present).append(task)
    return (*present, *islice(newest_of_slots(past), PAST_OF_SERVICE))


def newest_of_slots(past: Iterable[ObservedTask]) -> Iterable[ObservedTask]:
    counts: dict[tuple[int, str], int] = defaultdict(int)
    for task in past:
        counts[task.place] += 1
        if counts[task.place] <= PAST_OF_SLOT:
            yield task

"""Tasks of a Swarm, grouped by the slot that each one fills or filled."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import overload

from django.db.models import OuterRef, QuerySet, Subquery
from django.utils.functional import cached_property

from clusters.models import Node, Service, Task

GLOBAL_MODES = {Service.Mode.GLOBAL, Service.Mode.GLOBAL_JOB}
GOOD_STATES = {"running", "complete"}


@dataclass(frozen=True)
class Slot:
    """A slot of a replicated service, or a node's place in a global one. Tasks are newest first.

    `present` holds at least one task: the newest earlier one where Swarm no longer wants any. It holds two while an update
    starts the new task before it stops the old one.
    """

    present: list[Task]
    earlier: list[Task]

    @property
    def key(self) -> str:
        """An id that stays the same between renderings."""
        return "-".join(map(str, identify_slot(self.present[0])))

    @property
    def error(self) -> str:
        """The current error: that of the newest task, or of its predecessor until the newest one runs."""
        newest = self.present[0]
        if newest.error or newest.state in GOOD_STATES:
            return newest.error
        return next((task.error for task in [*self.present[1:], *self.earlier] if task.error), "")


def tasks_with_nodes() -> QuerySet[Task]:
    """Select tasks with `node_pk` and `node_state` of their node; both are None if the node is not known."""
    nodes = Node.objects.filter(cluster=OuterRef("service__application__cluster"), node_id=OuterRef("node_id"))
    return Task.objects.select_related("service").annotate(
        node_pk=Subquery(nodes.values("pk")[:1]), node_state=Subquery(nodes.values("state")[:1])
    )


def identify_slot(task: Task) -> tuple[int, int, str]:
    """Return service, slot number and, for a global service, node."""
    return task.service_id, task.slot, task.node_id if task.service.is_global else ""


def group_slots(tasks: Iterable[Task]) -> list[Slot]:
    """Group tasks into slots, in the order in which each slot first appears."""
    slots: dict[tuple[int, int, str], list[Task]] = {}
    for task in tasks:
        slots.setdefault(identify_slot(task), []).append(task)
    return [make_slot(members) for members in slots.values()]


class SlotList(Sequence[Slot]):
    """The slots of many tasks, for a paginator: it reads only the slot of each task, and whole tasks for a slice.

    Slots are in the order in which each first appears."""

    def __init__(self, tasks: QuerySet[Task]) -> None:
        self._tasks = tasks

    @cached_property
    def _places(self) -> list[list[int]]:
        """Ids of tasks, a list for each slot."""
        places: dict[tuple[int, int, str], list[int]] = {}
        for pk, service, slot, node, mode in self._tasks.values_list("pk", "service", "slot", "node_id", "service__mode"):
            places.setdefault((service, slot, node if mode in GLOBAL_MODES else ""), []).append(pk)
        return list(places.values())

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Slot: ...
    @overload
    def __getitem__(self, index: slice) -> list[Slot]: ...
    def __getitem__(self, index: int | slice) -> Slot | list[Slot]:
        if isinstance(index, int):
            return self[index : index + 1 or None][0]
        wanted = [pk for place in self._places[index] for pk in place]
        tasks = tasks_with_nodes().in_bulk(wanted)
        return group_slots(tasks[pk] for pk in wanted if pk in tasks)


def make_slot(tasks: list[Task]) -> Slot:
    newest_first = sorted(tasks, key=lambda task: (task.created_at is not None, task.created_at), reverse=True)
    present = [task for task in newest_first if task.is_present] or newest_first[:1]
    return Slot(present, [task for task in newest_first if task not in present])

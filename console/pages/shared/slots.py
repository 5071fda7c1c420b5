"""Tasks as a Swarm keeps them: by the slot of the service that each one fills, or filled."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

from django.db.models import OuterRef, QuerySet, Subquery

from clusters.models import Node, Service, Task

GLOBAL_MODES = {Service.Mode.GLOBAL, Service.Mode.GLOBAL_JOB}
ENDED_WELL = {"running", "complete"}


@dataclass(frozen=True)
class Slot:
    """A slot of a replicated service, or a node's place in a global one; tasks newest first.

    `present` holds at least one task: where Swarm wants none there any more, the newest that was. While an update starts the
    new task before it stops the old one, both are present.
    """

    present: list[Task]
    earlier: list[Task]

    @property
    def key(self) -> str:
        """The same for this slot at every look."""
        return "-".join(map(str, find_place(self.present[0])))

    @property
    def error(self) -> str:
        """What is wrong in this slot now: of the newest task, or of the one before while its replacement does not run yet."""
        newest = self.present[0]
        if newest.error or newest.state in ENDED_WELL:
            return newest.error
        return next((task.error for task in [*self.present[1:], *self.earlier] if task.error), "")


def tasks_with_nodes() -> QuerySet[Task]:
    """Tasks with `node_pk` and `node_state` of the node they are on, None when it is not known."""
    nodes = Node.objects.filter(cluster=OuterRef("service__application__cluster"), node_id=OuterRef("node_id"))
    return Task.objects.select_related("service").annotate(
        node_pk=Subquery(nodes.values("pk")[:1]), node_state=Subquery(nodes.values("state")[:1])
    )


def find_place(task: Task) -> tuple[int, int, str]:
    """What its service, slot and (of a global service) node are."""
    return task.service_id, task.slot, task.node_id if task.service.is_global else ""


def group_slots(tasks: Iterable[Task]) -> list[Slot]:
    """The slots in the order in which `tasks` names them first."""
    slots: dict[tuple[int, int, str], list[Task]] = {}
    for task in tasks:
        slots.setdefault(find_place(task), []).append(task)
    return [make_slot(members) for members in slots.values()]


class SlotList(Sequence[Slot]):
    """The slots in the order in which `tasks` names them first, for a paginator: of all tasks only the places are read, and the
    tasks themselves where a slice is asked for."""

    def __init__(self, tasks: QuerySet[Task]) -> None:
        self._tasks = tasks

    @cached_property
    def _places(self) -> list[list[int]]:
        """The ids of each slot's tasks."""
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

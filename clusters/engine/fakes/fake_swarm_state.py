"""The common base of FakeSwarm's parts: its nodes, services and tasks, and its clock."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from clusters.engine.errors import TargetMissing
from clusters.engine.fakes.copying import copy_of
from clusters.engine.fakes.fake_containers import Json, make_id
from clusters.engine.fakes.fake_services import FakeService, FakeTask

# find_image(reference, credentials) returns the image's Config, or None when a node cannot pull it.
FindImage = Callable[[str, str], Json | None]


class FakeSwarmState:
    """The base of FakeSwarm's parts."""

    def __init__(self, find_image: FindImage) -> None:
        self.nodes: dict[str, Json] = {}
        self.services: dict[str, FakeService] = {}
        self.tasks: list[FakeTask] = []
        self.is_manager = True  # whether the engine's own node is a manager
        self.objects: dict[str, tuple[str, Json]] = {}  # configs and secrets by id: the kind, and the entry in the list
        self.leaderless = ""  # where set, a manager's message that there is no leader
        self._find_image = find_image
        self._serial = itertools.count(1)
        self._index = 10

    def find_service(self, name: str) -> FakeService:
        """Find a service by name or id. Raises TargetMissing."""
        for service in self.services.values():
            if name in (service.id, service.name):
                return service
        raise TargetMissing(f"service {name} not found")

    def find_task(self, task_id: str) -> FakeTask:
        """Raises TargetMissing."""
        for task in self.tasks:
            if task.id == task_id:
                return task
        raise TargetMissing(f"task {task_id} not found")

    def tasks_of(self, service: str) -> list[FakeTask]:
        found = self.find_service(service)
        return [task for task in self.tasks if task.service_id == found.id]

    def _live(self, service: FakeService) -> list[FakeTask]:
        return [task for task in self.tasks if task.service_id == service.id and task.is_live]

    def _has_lost_node(self, task: FakeTask) -> bool:
        node = self.nodes.get(task.node_id)
        return node is not None and (node["Status"]["State"] == "down" or node["Spec"]["Availability"] == "drain")

    def _add_task(self, service: FakeService, slot: int, desired: str, hold: int = 0) -> FakeTask:
        now = self._now()
        task = FakeTask(
            id=self._make_id("task"),
            service_id=service.id,
            slot=slot,
            spec=copy_of(service.spec["TaskTemplate"]),
            spec_version=service.spec_version,
            desired=desired,
            created=now,
            updated=now,
            version=self._next_index(),
            iteration=service.iteration if service.is_job else None,
            hold=hold,
            service_name=service.name,
            service_labels=dict(service.spec["Labels"]),
        )
        self.tasks.append(task)
        return task

    def _change(self, task: FakeTask, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(task, name, value)
        task.version, task.updated = self._next_index(), self._now()

    def _touch(self, service: FakeService) -> None:
        service.version, service.updated = self._next_index(), self._now()

    def _next_index(self) -> int:
        self._index += 1
        return self._index

    def _make_id(self, kind: str) -> str:
        return make_id(kind, next(self._serial))[:25]

    def _now(self) -> str:
        """Return a time later than all before, with nanoseconds as the engine writes it."""
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(self._serial))
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")

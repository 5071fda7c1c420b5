"""Fold the operations of a call: one line for each container, with its operations below it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from clusters.engine.names import base_name
from clusters.engine.snapshot import Snapshot
from console.pages.calls.timeline import TimelineEntry
from triggers.models import TriggerCall

# The operations on one container. An event of another one stands alone, also where a container's name is in it.
FOLDED = {"create", "connect", "copy", "start", "stop", "watch", "rename", "remove", "update", "restart"}
LEVELS = ("info", "warning", "error")


@dataclass(frozen=True)
class TimelineGroup:
    """The entries about one container, or one entry about none or several (`name` is empty then)."""

    name: str
    entries: tuple[TimelineEntry, ...]

    @property
    def first(self) -> TimelineEntry:
        return self.entries[0]

    @property
    def is_folded(self) -> bool:
        return len(self.entries) > 1

    @property
    def is_current(self) -> bool:
        return any(entry.is_current for entry in self.entries)

    @property
    def level(self) -> str:
        return max((entry.event.level for entry in self.entries), key=LEVELS.index)

    @property
    def took(self) -> timedelta | None:
        known = [entry.took for entry in self.entries if entry.took]
        return sum(known, timedelta()) if known else None

    @property
    def headline(self) -> str:
        """What the line says: the last problem, what is done now, the result of its watch, else the last operation."""
        problems = [entry for entry in self.entries if entry.event.level != "info"]
        results = [entry for entry in self.entries if entry.event.operation == "watch" and entry.text == entry.event.text]
        last = self.entries[-1]
        return (problems or ([last] if self.is_current else results) or [last])[-1].event.text


def fold_timeline(entries: Sequence[TimelineEntry], names: Iterable[str]) -> list[TimelineGroup]:
    """`names` are the containers' final names. A container has one line before a rollback begins and another one after it."""
    known, groups, open_groups = {*names, *find_created(entries)}, [], dict[str, list[TimelineEntry]]()
    for entry in entries:
        name = find_container(entry, known)
        if name and name in open_groups:
            open_groups[name].append(entry)
            continue
        if entry.event.operation == "rollback":
            open_groups.clear()
        groups.append((name, of_group := [entry]))
        if name:
            open_groups[name] = of_group
    return [TimelineGroup(name, tuple(of_group)) for name, of_group in groups]


def list_container_names(call: TriggerCall) -> set[str]:
    """Return the names of the containers before and after the call; none of a Swarm's tasks."""
    snapshots = [Snapshot.from_json(call.before), Snapshot.from_json(call.after)]
    services = [service for snapshot in snapshots if snapshot for service in snapshot.services.values()]
    return {item.name for service in services for item in service.containers if item.node is None and item.name}


def find_created(entries: Iterable[TimelineEntry]) -> set[str]:
    """Return the names of the containers that the call creates: `create NAME from IMAGE`."""
    words = [entry.event.text.split() for entry in entries if entry.event.operation == "create"]
    return {base_name(found[1]) for found in words if len(found) > 2 and found[0] == "create"}


def find_container(entry: TimelineEntry, names: set[str]) -> str:
    """Return the container that the entry is about; empty if it is about none or several."""
    if entry.event.operation not in FOLDED:
        return ""
    said = entry.event.text.partition(" printed: ")[0]
    found = {name for word in said.split() if (name := base_name(word.strip(",.;:"))) in names}
    return found.pop() if len(found) == 1 else ""

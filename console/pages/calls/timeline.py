"""The work of a call on its page: its events with their times, and the services before and after."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from clusters.engine.snapshot import ContainerSnapshot, ServiceSnapshot, Snapshot
from console.wording import short_id
from triggers.models import CallState, TriggerCall, TriggerCallEvent


@dataclass(frozen=True)
class TimelineEntry:
    """An event and its times. `offset` counts from the call's start (from queueing if it never started); `took` lasts until the
    next entry, or until now while there is none."""

    event: TriggerCallEvent
    offset: timedelta
    took: timedelta | None
    is_current: bool

    @property
    def text(self) -> str:
        """The event's text without the operation's word: the page shows that word first, and the text often begins with it."""
        return self.event.text.removeprefix(f"{self.event.operation} ")


def build_timeline(call: TriggerCall, verdict: str = "") -> list[TimelineEntry]:
    """`verdict` stands at the top of the page, so the event that says the same at the end is left out."""
    events = list(call.events.all())
    start = call.started_at or call.queued_at
    entries = []
    for index, event in enumerate(events):
        is_last = index + 1 == len(events)
        until = _end_of(call) if is_last else events[index + 1].time
        entries.append(
            TimelineEntry(
                event=event,
                offset=max(event.time - start, timedelta()),
                took=max(until - event.time, timedelta()) if until else None,
                is_current=is_last and call.state == CallState.RUNNING,
            )
        )
    is_repeated = bool(entries) and entries[-1].event.operation == "end" and entries[-1].event.text == verdict
    return entries[:-1] if is_repeated else entries


def _end_of(call: TriggerCall) -> datetime | None:
    return timezone.now() if call.state == CallState.RUNNING else call.completed_at


def measure_wait(call: TriggerCall) -> timedelta | None:
    """Return the time in the queue, until now while the call waits; None for a call that never started."""
    until = timezone.now() if call.state == CallState.QUEUED else call.started_at
    return until - call.queued_at if until else None


def measure_run(call: TriggerCall) -> timedelta | None:
    """Return the time from start to end, until now while the call runs; None for a call that never started."""
    until = _end_of(call)
    return until - call.started_at if until and call.started_at else None


@dataclass(frozen=True)
class TaskComparison:
    """A task's place and state, such as `node1 · running`; empty where there was none. `moved`: to another node."""

    name: str
    before: str
    after: str
    moved: bool


@dataclass(frozen=True)
class ImageInUse:
    """`name` is a `sha256:…` id or digest, or a reference where the engine knows no more; `count` containers run it."""

    name: str
    count: int

    @property
    def short(self) -> str:
        return short_id(self.name) if self.name.startswith("sha256:") else self.name


@dataclass(frozen=True)
class ServiceSide:
    """A service before or after. `digests` are what a registry calls the images, where `images` are not named so already."""

    running: int | None
    image: str
    images: list[ImageInUse]
    digests: list[str]

    @property
    def is_mixed(self) -> bool:
        return len(self.images) > 1


@dataclass(frozen=True)
class ServiceComparison:
    service: str
    before: ServiceSide
    after: ServiceSide
    tasks: list[TaskComparison]

    @property
    def image_changed(self) -> bool:
        return bool(self.after.images) and _names(self.before) != _names(self.after)

    @property
    def image_kept(self) -> bool:
        return bool(self.after.images) and not self.image_changed and self.before.image == self.after.image

    @property
    def count_changed(self) -> bool:
        return self.after.running is not None and self.before.running != self.after.running


def _names(side: ServiceSide) -> set[str]:
    return {image.name for image in side.images}


def compare_snapshots(before: Snapshot | None, after: Snapshot | None) -> list[ServiceComparison]:
    """Return a row for each service. Either snapshot can be missing."""
    old, new = (snapshot.services if snapshot else {} for snapshot in (before, after))
    gone = ServiceSnapshot(running=0) if after else ServiceSnapshot()  # 0: it was looked for, and nothing of it was there
    names = sorted(old.keys() | new.keys())
    return [_compare_service(name, old.get(name, ServiceSnapshot()), new.get(name, gone)) for name in names]


def _compare_service(name: str, old: ServiceSnapshot, new: ServiceSnapshot) -> ServiceComparison:
    tasks = _compare_tasks(_find_tasks(old), _find_tasks(new))
    return ServiceComparison(name, _describe_side(old), _describe_side(new), tasks)


def _describe_side(service: ServiceSnapshot) -> ServiceSide:
    return ServiceSide(
        running=service.running,
        image=service.image,
        images=[ImageInUse(name, count) for name, count in sorted(service.images.items())],
        digests=[digest for digest in service.digests if digest.rpartition("@")[2] not in service.images],
    )


def _compare_tasks(old: dict[str, ContainerSnapshot], new: dict[str, ContainerSnapshot]) -> list[TaskComparison]:
    return [_compare_task(name, old.get(name), new.get(name)) for name in sorted(old.keys() | new.keys(), key=_number_last)]


def _compare_task(name: str, old: ContainerSnapshot | None, new: ContainerSnapshot | None) -> TaskComparison:
    moved = bool(old and new and old.node != new.node)
    return TaskComparison(name, _describe_task(old), _describe_task(new), moved)


def _describe_task(task: ContainerSnapshot | None) -> str:
    return " · ".join(text for text in (task.node, task.state) if text) if task else ""


def _number_last(name: str) -> tuple[str, int, str]:
    """web.2 before web.10."""
    head, _, tail = name.rpartition(".")
    return (head, int(tail), "") if tail.isascii() and tail.isdigit() and len(tail) < 10 else (head, 0, tail)


def _find_tasks(service: ServiceSnapshot) -> dict[str, ContainerSnapshot]:
    """Return the tasks by name; nothing for containers of a plain engine, which have no node."""
    return {task.name: task for task in service.containers if task.node is not None}

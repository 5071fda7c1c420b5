"""The work of a call on its page: its events with their times, and the services before and after."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

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


def build_timeline(call: TriggerCall) -> list[TimelineEntry]:
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
    return entries


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


def compare_snapshots(before: Any, after: Any) -> list[ServiceComparison]:
    """A row a service, from two `Observation.snapshot()`s; either may be missing."""
    old, new = _read_services(before), _read_services(after)
    gone = {"running": 0} if isinstance(after, dict) else None  # it was looked for, and nothing of it was there
    return [_compare_service(name, old.get(name), new.get(name, gone)) for name in sorted(old.keys() | new.keys())]


def _compare_service(name: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> ServiceComparison:
    old, new = old or {}, new or {}
    tasks = _compare_tasks(_read_tasks(old), _read_tasks(new))
    return ServiceComparison(name, _read_side(old), _read_side(new), tasks)


def _read_side(service: dict[str, Any]) -> ServiceSide:
    running, images, digests = service.get("running"), service.get("images"), service.get("digests")
    images = images if isinstance(images, dict) else {}
    named = [str(digest) for digest in digests] if isinstance(digests, list) else []
    return ServiceSide(
        running=running if isinstance(running, int) else None,
        image=str(service.get("image", "")),
        images=[ImageInUse(str(name), count) for name, count in sorted(images.items())],
        digests=[digest for digest in named if digest.rpartition("@")[2] not in images],
    )


def _compare_tasks(old: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]]) -> list[TaskComparison]:
    return [_compare_task(name, old.get(name), new.get(name)) for name in sorted(old.keys() | new.keys(), key=_number_last)]


def _compare_task(name: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> TaskComparison:
    moved = bool(old and new and old.get("node") != new.get("node"))
    return TaskComparison(name, _describe_task(old), _describe_task(new), moved)


def _describe_task(task: dict[str, Any] | None) -> str:
    return " · ".join(str(task[key]) for key in ("node", "state") if task.get(key)) if task else ""


def _number_last(name: str) -> tuple[str, int, str]:
    """web.2 before web.10."""
    head, _, tail = name.rpartition(".")
    return (head, int(tail), "") if tail.isascii() and tail.isdigit() and len(tail) < 10 else (head, 0, tail)


def _read_tasks(service: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By name; nothing for containers of a plain engine, which have no node."""
    listed = service.get("containers")
    tasks = [one for one in listed if isinstance(one, dict) and "node" in one] if isinstance(listed, list) else []
    return {str(task.get("name", "")): task for task in tasks}


def _read_services(snapshot: Any) -> dict[str, dict[str, Any]]:
    services = snapshot.get("services") if isinstance(snapshot, dict) else None
    if not isinstance(services, dict):
        return {}
    return {str(name): value for name, value in services.items() if isinstance(value, dict)}

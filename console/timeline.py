"""A call's story for its page: one sentence, the events with their times, and what changed."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from console.templatetags.console import duration, parts, short_id
from triggers.models import Action, CallState, TriggerCall, TriggerCallEvent
from triggers.selectors import call_duration


@dataclass(frozen=True)
class TimelineEntry:
    """`offset` since the call was started (queued, when it never was); `took` until the next entry, None for a last one."""

    event: TriggerCallEvent
    offset: timedelta
    took: timedelta | None
    is_current: bool

    @property
    def text(self) -> str:
        """Without the operation's word, which the page sets before it: an event's text often begins with that word."""
        return self.event.text.removeprefix(f"{self.event.operation} ")


def build_timeline(call: TriggerCall) -> list[TimelineEntry]:
    events = list(call.events.all())
    start = call.started_at or call.queued_at
    entries = []
    for index, event in enumerate(events):
        following = events[index + 1].time if index + 1 < len(events) else None
        is_last = following is None
        until = call.completed_at if is_last else following
        entries.append(
            TimelineEntry(
                event=event,
                offset=max(event.time - start, timedelta()),
                took=max(until - event.time, timedelta()) if until else None,
                is_current=is_last and call.state == CallState.RUNNING,
            )
        )
    return entries


def summarize_call(call: TriggerCall) -> str:
    """The answer, in one sentence: what came of it, how long it took, and the call's own message."""
    words = _describe_state(call)
    return f"{words}: {call.message}" if call.message else f"{words}."


def _describe_state(call: TriggerCall) -> str:
    word = call.get_state_display()
    took = call_duration(call)
    if call.state == CallState.QUEUED:
        return "Waiting for its turn at the application"
    if call.state == CallState.RUNNING and call.started_at:
        progress = describe_progress(call)
        return f"Running for {duration(timezone.now() - call.started_at)}{f': {progress}' if progress else ''}"
    if took is None or call.state in (CallState.COALESCED, CallState.REJECTED):
        return word
    return f"{word} {'after' if call.state in (CallState.FAILED, CallState.ROLLED_BACK) else 'in'} {duration(took)}"


@dataclass(frozen=True)
class ServiceProgress:
    service: str
    done: int
    wanted: int


def read_progress(call: TriggerCall) -> list[ServiceProgress]:
    """How far a call has come that a Swarm works at, service by service."""
    return [ServiceProgress(name, done, wanted) for name, (done, wanted) in sorted(call.progress.items()) if wanted]


def describe_progress(call: TriggerCall) -> str:
    """`3 of 5 tasks updated`, of all services together; empty while nothing is known."""
    services = read_progress(call)
    done, wanted = sum(one.done for one in services), sum(one.wanted for one in services)
    word = "updated" if call.action == Action.REDEPLOY else "running"
    return f"{done} of {wanted} {parts(call.application, wanted)} {word}" if services else ""


@dataclass(frozen=True)
class TaskComparison:
    """A task's place and state, such as `node1 · running`; empty where there was none. `moved`: to another node."""

    name: str
    before: str
    after: str
    moved: bool


@dataclass(frozen=True)
class ServiceComparison:
    service: str
    running_before: int | None
    running_after: int | None
    image_before: str
    image_after: str
    ids_before: str
    ids_after: str
    tasks: list[TaskComparison]

    @property
    def image_changed(self) -> bool:
        return bool(self.ids_after) and self.ids_before != self.ids_after

    @property
    def count_changed(self) -> bool:
        return self.running_after is not None and self.running_before != self.running_after


def compare_snapshots(before: Any, after: Any) -> list[ServiceComparison]:
    """A row a service, from two `Observation.snapshot()`s; either may be missing."""
    old, new = _read_services(before), _read_services(after)
    return [_compare_service(name, old.get(name), new.get(name)) for name in sorted(old.keys() | new.keys())]


def _compare_service(name: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> ServiceComparison:
    old, new = old or {}, new or {}
    return ServiceComparison(
        service=name,
        running_before=old.get("running"),
        running_after=new.get("running"),
        image_before=str(old.get("image", "")),
        image_after=str(new.get("image", "")),
        ids_before=_name_images(old),
        ids_after=_name_images(new),
        tasks=_compare_tasks(_read_tasks(old), _read_tasks(new)),
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


def _name_images(service: dict[str, Any]) -> str:
    """`ab12cd34ef56` alone, or `2 × ab12…, 1 × cd34…` where containers differ."""
    images = service.get("images")
    if not isinstance(images, dict):
        return ""
    if len(images) == 1:
        return short_id(next(iter(images)))
    return ", ".join(f"{count} × {short_id(image)}" for image, count in sorted(images.items()))

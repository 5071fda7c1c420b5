"""A call's story for its page: one sentence, the events with their times, and what changed."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from clusters.engine.snapshot import ContainerSnapshot, ServiceSnapshot, Snapshot
from console.wording import duration, parts, short_id
from triggers.models import Action, CallState, TriggerCall, TriggerCallEvent
from triggers.selectors import call_duration


@dataclass(frozen=True)
class TimelineEntry:
    """`offset` since the call was started (queued, when it never was); `took` until the next entry, or now if none is yet."""

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
    """In the queue, until now where it still waits; None for a call that was never started."""
    until = timezone.now() if call.state == CallState.QUEUED else call.started_at
    return until - call.queued_at if until else None


def measure_run(call: TriggerCall) -> timedelta | None:
    """From the start to the end, until now while it runs."""
    until = _end_of(call)
    return until - call.started_at if until and call.started_at else None


def list_parameters(call: TriggerCall) -> list[str]:
    """What was sent with the request, by the documented names, such as `step=5`. A secret is not kept, so it is not there."""
    if call.container:
        return [f"container={call.container}"]
    if call.tag:
        return [f"tag={call.tag}"]
    if call.replicas is not None:
        return [f"replicas={call.replicas}"]
    if call.step is None:
        return []
    return [f"type={'scale_out' if call.step > 0 else 'scale_in'}", f"step={abs(call.step)}"]


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


def describe_cancellation(call: TriggerCall) -> str:
    """What a cancellation would do, or that it was asked for; empty where there is nothing to cancel."""
    if not call.is_active:
        return ""
    led = call.merged_into or call
    if led.cancel_requested_at:
        return f"{led.cancelled_by} cancels it: it stops at the next safe step."
    if call.state == CallState.QUEUED:
        return "It waits; if it is cancelled, nothing is done."
    ends = {Action.REDEPLOY: " and goes back to what ran before", Action.SCALING: " and goes back to the count from before"}
    end = ends.get(Action(call.action), "; what is done by then stays")
    together = " All scale calls of this one change are cancelled together." if led.merged_calls.exists() else ""
    return f"If it is cancelled, it stops at the next safe step{end}.{together}"


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
    word = "running" if call.action == Action.SCALING else "updated"
    return f"{done} of {wanted} {parts(call.application, wanted)} {word}" if services else ""


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

"""Looks at services again and again until each has come to its end: one thread, a few list requests a round."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from clusters.engine.driver import Check, Progress, Report
from clusters.engine.errors import EngineUnreachable, NotManager, TargetMissing
from clusters.engine.retry import retry_unreachable
from clusters.engine.swarm.observed import Look, Node, SwarmService, Task, list_nodes, list_tasks, make_service
from clusters.engine.swarm.plan import Part
from clusters.engine.swarm.progress import AnyGoal, Seen, Verdict, judge
from clusters.engine.swarm.wording import describe_running

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

POLL_SECONDS = 0.2
QUIET_POLL_SECONDS = 0.5  # once nothing has moved for a while
QUIET_AFTER_SECONDS = 15.0
BEAT_SECONDS = 0.5
WAKINGS = 3  # of one service's update

Answer = TypeVar("Answer")


@dataclass
class Run:
    """A service on its way. `goal` None: nothing was sent for it yet. `code` and `reason`: the first failure it met.
    `end`: the last judgement, once it is final; with a new goal it is to be followed again."""

    part: Part
    goal: AnyGoal | None = None
    seen: Seen = field(default_factory=Seen)
    look: Look | None = None
    end: Verdict | None = None
    code: str = ""
    reason: str = ""
    was_touched: bool = False
    is_returning: bool = False
    image_before: str = ""  # in the spec before our update; empty where an earlier attempt has sent that
    written_before: str = ""  # and what a stack's label told of it
    wakings: int = 0
    shown: tuple[int, int] | None = None  # the progress that was told last
    previous: int = field(init=False)  # its ForceUpdate from before the update that is followed

    def __post_init__(self) -> None:
        self.previous = self.part.previous

    def aim(self, goal: AnyGoal, returning: bool = False) -> None:
        self.goal, self.seen, self.end = goal, Seen(), None
        self.is_returning = returning

    def fail(self, code: str, reason: str) -> None:
        if not self.code:
            self.code, self.reason = code, reason

    @property
    def has_failed(self) -> bool:
        return bool(self.code)

    @property
    def is_well(self) -> bool:
        """At its goal, which may be to be back."""
        return self.end is not None and self.end.state == "done"

    @property
    def is_back(self) -> bool:
        return self.is_returning and self.is_well


class Follower:
    """`on_return(run)`: Swarm has begun to take it back, so that it needs another goal. `on_hang(run)`: Swarm's updater has
    to be woken up."""

    def __init__(
        self,
        client: "EngineClient",
        report: Report,
        check: Check,
        progress: Progress,
        on_return: Callable[[Run], None],
        on_hang: Callable[[Run], None],
    ) -> None:
        self._client = client
        self._report, self._check, self._progress = report, check, progress
        self._on_return, self._on_hang = on_return, on_hang

    def follow(self, runs: Sequence[Run], until: Callable[[], bool]) -> None:
        """Until every run has its end, or `until()` says so. Raises EngineUnreachable, and what `check` raises."""
        while True:
            self._check()
            self.look_at(runs)
            waiting = [run for run in runs if run.end is None and run.goal is not None]
            verdicts = [self._judge(run) for run in waiting]
            if all(run.end for run in waiting) or until():
                return
            self._pause(waiting, verdicts)

    def look_at(self, runs: Sequence[Run]) -> None:
        asked_at, services, tasks, nodes = self.ask(lambda: self._read({run.part.id: run.part.name for run in runs}))
        for run in runs:
            own = tuple(task for task in tasks if task.service_id == run.part.id)
            run.look = Look(services.get(run.part.id), own, nodes, asked_at)

    def _read(self, names: Mapping[str, str]) -> tuple[float, dict[str, SwarmService], tuple[Task, ...], dict[str, Node]]:
        """`names` of the services by their ids. The first of the answer: when it was asked for."""
        asked_at = time.monotonic()
        entries = self._client.list_services({"id": list(names)})
        services = {entry["ID"]: make_service(entry, names[entry["ID"]]) for entry in entries if entry["ID"] in names}
        try:
            tasks = list_tasks(self._client, list(services)) if services else ()
        except TargetMissing:  # one was removed since
            return self._read({found: names[found] for found in services})
        return asked_at, services, tasks, list_nodes(self._client)

    def ask(self, request: Callable[[], Answer]) -> Answer:
        """The request's answer. A manager that does not answer for a moment is asked again; one that is none any more is as
        good as lost: another one may go on."""

        try:
            return retry_unreachable(lambda attempt: request(), lambda text: self._report("warning", "wait", text), self.sleep)
        except NotManager as error:
            raise EngineUnreachable(error.message, code=error.code) from error

    def _judge(self, run: Run) -> Verdict:
        assert run.goal
        assert run.look
        verdict = judge(run.goal, run.seen, run.look, time.monotonic())
        for sentence in verdict.news:
            self._report("warning", "follow", f"{sentence}.")
        if verdict.state in {"moving", "done"} and run.shown != (verdict.done, verdict.wanted):
            run.shown = (verdict.done, verdict.wanted)
            self._progress(run.part.name, *run.shown)
        if verdict.state == "done":
            run.end = verdict
            self._report("info", "follow", f"{describe_running(run.look)}.")
        elif verdict.state != "moving":
            self._report("error", "follow", verdict.reason)
            run.fail(verdict.code, verdict.reason)
            if verdict.state == "going_back":
                self._on_return(run)
            else:
                run.end = verdict
        elif verdict.hangs and run.wakings < WAKINGS:
            run.wakings += 1
            self._on_hang(run)
        return verdict

    def _pause(self, waiting: Sequence[Run], verdicts: Sequence[Verdict]) -> None:
        now = time.monotonic()
        is_quiet = all(now - run.seen.changed_at > QUIET_AFTER_SECONDS for run in waiting)
        settling = [verdict.settles_in for verdict in verdicts if verdict.settles_in]
        self.sleep(min([QUIET_POLL_SECONDS if is_quiet else POLL_SECONDS, *settling]))

    def sleep(self, seconds: float) -> None:
        """Checks each half second."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, BEAT_SECONDS))
            self._check()

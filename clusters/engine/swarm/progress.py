"""How far a service has come towards its goal: pure judgement on one look at it, on what was seen before, and on a clock.

Swarm's own verdict, UpdateStatus, is reset by every change of the spec and is not set at all by a scaling, so that it is
never enough by itself: the tasks have to agree with it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from clusters.engine.swarm.observed import FAILED_STATES, LIVE_STATES, Look, SwarmService, Task
from clusters.engine.swarm.rules import Limits
from clusters.engine.swarm.wording import describe_end, describe_lost_nodes, describe_unplaced, describe_waiting
from clusters.engine.wording import cut

FAILURES_OF_A_PLACE = 3  # as many tasks of one slot have to fail until Swarm's going on trying is no hope any more
ABANDONED_SECONDS = 1.0  # without a successor of a failed task; Swarm makes it in the same moment, or not at all
HANGING_SECONDS = 10.0  # on top of the service's own delay between tasks and its monitor period
# Between two looks. A longer gap tells of a machine or a manager that stands still or is overloaded, and then Swarm is late too
# to hear of a task's end: only so much of it counts as steady.
LONGEST_GAP_SECONDS = 0.6
SETTLED_STATES = ("", "completed", "rollback_completed")
NEWS_AT_MOST = 10


@dataclass(frozen=True)
class Patience:
    """With Swarm, which is still updating and has its own verdict to give: until so many tasks of one place have failed, and so
    many seconds have passed since the first did."""

    failures: int
    seconds: float = 0.0


# Swarm that may pause or roll back: where tasks crash at once it hears of that only when it is done with the places it is just
# updating. A tolerated failure ratio keeps it from either.
LEFT_TO_SWARM = Patience(10, 30.0)


@dataclass(frozen=True, kw_only=True)
class Goal:
    service: str  # its name, for sentences
    limits: Limits = Limits()

    def covers(self, task: Task, service: SwarmService) -> bool:
        """Whether it is one of the tasks that the goal asks for."""
        return True

    def is_made_for(self, task: Task, service: SwarmService) -> bool:
        """Whether such a task is not from before the goal: if it has failed at the first look already, that counts."""
        return True


@dataclass(frozen=True, kw_only=True)
class UpdateGoal(Goal):
    """Every task is of this update. `stale` is UpdateStatus.StartedAt from before it. `patience` None: without end."""

    force_update: int
    image: str
    stale: str = ""
    patience: Patience | None = Patience(FAILURES_OF_A_PLACE)

    def covers(self, task: Task, service: SwarmService) -> bool:
        return task.force_update == self.force_update and task.image == self.image


def is_made_since(moment: str, task: Task) -> bool:
    """By the manager's clock. Without its Z such times sort as text."""
    return bool(moment) and task.created_at.rstrip("Z") >= moment.rstrip("Z")


@dataclass(frozen=True, kw_only=True)
class ReturnGoal(Goal):
    """Every task is again as before the update."""

    force_update: int

    def covers(self, task: Task, service: SwarmService) -> bool:
        return task.force_update == self.force_update

    def is_made_for(self, task: Task, service: SwarmService) -> bool:
        return is_made_since(service.update_started_at, task)


@dataclass(frozen=True, kw_only=True)
class ScaleGoal(Goal):
    replicas: int
    is_out: bool = True

    def is_made_for(self, task: Task, service: SwarmService) -> bool:
        return is_made_since(service.updated_at, task)


@dataclass(frozen=True, kw_only=True)
class JobGoal(Goal):
    """The iteration of a job that this update began has completed."""

    force_update: int

    def covers(self, task: Task, service: SwarmService) -> bool:
        return task.force_update == self.force_update and task.iteration == service.iteration


AnyGoal = UpdateGoal | ReturnGoal | ScaleGoal | JobGoal


@dataclass(frozen=True)
class Verdict:
    """`going_back`: Swarm itself takes the update back, for `reason`. `news` are sentences to report, once each.
    `settles_in`: seconds until the monitor period is over, when nothing else happens. `hangs`: see `is_hanging`."""

    state: Literal["moving", "done", "failed", "going_back"]
    code: str = ""
    reason: str = ""
    done: int = 0
    wanted: int = 0
    news: tuple[str, ...] = ()
    settles_in: float | None = None
    hangs: bool = False


@dataclass
class Seen:
    """What earlier looks have shown. Times are of a clock that only goes forward, in seconds."""

    fingerprint: object = None
    changed_at: float = 0.0
    steady: frozenset[str] | None = None
    steady_seconds: float = 0.0
    steady_seen_at: float = 0.0
    unplaced_since: float | None = None
    abandoned_since: float | None = None
    failing_since: float | None = None
    failures: dict[int | str, set[str]] = field(default_factory=dict)
    last_failure: str = ""
    last_failure_at: str = ""
    _judged: set[str] = field(default_factory=set)
    _dismissed: set[str] = field(default_factory=set)
    _told: int = 0

    def note(self, goal: AnyGoal, look: Look, now: float) -> tuple[str, ...]:
        """Takes a look in; the news of it."""
        assert look.service
        is_first = self.fingerprint is None
        tasks = sorted((task.id, task.desired, task.state, task.error) for task in look.tasks)
        fingerprint = (look.service.version, tasks, sorted((node.id, node.state) for node in look.nodes.values()))
        if fingerprint != self.fingerprint:
            self.fingerprint, self.changed_at = fingerprint, now
        failed = [task for task in look.tasks if goal.covers(task, look.service) and self._is_new_failure(task, look.service)]
        if is_first:
            failed = [task for task in failed if goal.is_made_for(task, look.service)]
        if failed and self.failing_since is None:
            self.failing_since = now
        return tuple(self._take_failure(look, task) for task in sorted(failed, key=lambda task: task.changed_at))

    def _is_new_failure(self, task: Task, service: SwarmService) -> bool:
        """A task that Swarm had told to stop may end as it likes."""
        ended_early = task.state == "complete" and not service.is_job
        if task.state in FAILED_STATES or ended_early:
            is_new = task.id not in self._judged and task.id not in self._dismissed
            self._judged.add(task.id)
            return is_new
        if not task.is_wanted:
            self._dismissed.add(task.id)
        return False

    def _take_failure(self, look: Look, task: Task) -> str:
        self.failures.setdefault(look.place_of(task), set()).add(task.id)
        sentence = describe_end(look, task)
        if task.changed_at >= self.last_failure_at:
            self.last_failure, self.last_failure_at = sentence, task.changed_at
        return sentence

    @property
    def worst(self) -> int:
        """The number of failures in the place that has most."""
        return max(map(len, self.failures.values()), default=0)

    def count_steady(self, look: Look, tasks: Iterable[Task], now: float) -> float:
        """Seconds that these very tasks have been seen running: from the first look's answer until the last was asked for."""
        steady = frozenset(task.id for task in tasks)
        if steady != self.steady:
            self.steady, self.steady_seconds, self.steady_seen_at = steady, 0.0, now
            return 0.0
        asked_at = now if look.asked_at is None else look.asked_at
        self.steady_seconds += min(max(asked_at - self.steady_seen_at, 0.0), LONGEST_GAP_SECONDS)
        self.steady_seen_at = asked_at
        return self.steady_seconds


def judge(goal: AnyGoal, seen: Seen, look: Look, now: float) -> Verdict:
    if look.service is None:
        return Verdict("failed", "not_found", f"{goal.service} was removed meanwhile.")
    news = seen.note(goal, look, now)[:NEWS_AT_MOST]
    match goal:
        case UpdateGoal():
            verdict = judge_update(goal, seen, look, look.service, now)
        case ReturnGoal():
            verdict = judge_return(goal, seen, look, look.service, now)
        case ScaleGoal():
            verdict = judge_scale(goal, seen, look, look.service, now)
        case JobGoal():
            verdict = judge_job(goal, seen, look, look.service, now)
    return replace(verdict, news=news)


def judge_update(goal: UpdateGoal, seen: Seen, look: Look, service: SwarmService, now: float) -> Verdict:
    state = "" if goal.stale and service.update_started_at == goal.stale else service.update_state
    if service.force_update != goal.force_update or service.image != goal.image:
        return judge_replaced(goal, seen, service, state)
    updated = [task for task in look.running if goal.covers(task, service)]
    hangs = is_hanging(goal, seen, look, now)
    moving = Verdict("moving", done=min(len(updated), look.wanted), wanted=look.wanted, hangs=hangs)
    if state in {"paused", "rollback_paused"}:
        return fail(moving, "update_paused", f"Swarm paused the update of {goal.service}: {why_paused(seen, service)}.")
    if len(updated) == look.wanted:
        left = read_watch(goal, look) - seen.count_steady(look, updated, now)
        if left <= 0 and not find_leftovers(look, updated) and state in SETTLED_STATES:
            return replace(moving, state="done")
        return find_stuck(goal, seen, look, now, replace(moving, settles_in=max(left, 0.0)))
    seen.count_steady(look, (), now)
    if state == "updating" and not has_failed_too_often(goal, seen, now):
        return find_stuck(goal, seen, look, now, moving)
    return find_failure(goal, seen, look, now, moving)


def has_failed_too_often(goal: UpdateGoal, seen: Seen, now: float) -> bool:
    """Whether Swarm's own verdict, which it has not given yet, is waited for no more."""
    if goal.patience is None or seen.failing_since is None:
        return False
    return seen.worst >= goal.patience.failures and now - seen.failing_since >= goal.patience.seconds


def judge_replaced(goal: UpdateGoal, seen: Seen, service: SwarmService, state: str) -> Verdict:
    """The spec is not ours any more: Swarm's way back, or somebody else."""
    if state.startswith("rollback_") and service.force_update == goal.force_update - 1:
        reason = f"Swarm took the update of {goal.service} back: {why_paused(seen, service)}."
        return Verdict("going_back", "update_failed", reason)
    reason = f"{goal.service} was updated by somebody else meanwhile: it is now at {cut(service.image)}."
    return Verdict("failed", "superseded", reason)


def read_watch(goal: AnyGoal, look: Look) -> float:
    """Seconds that converged tasks are watched."""
    return goal.limits.monitor if look.wanted or look.is_spread_over_nodes else 0.0


def judge_return(goal: ReturnGoal, seen: Seen, look: Look, service: SwarmService, now: float) -> Verdict:
    """Swarm's `rollback_completed` is not enough: it says so at once, without watching anything, where it finds no task to
    replace, as after a task that failed and was not started again, or was just then with the spec that it goes back to."""
    if service.force_update != goal.force_update:
        reason = f"{goal.service} was updated by somebody else while it went back: it is now at {cut(service.image)}."
        return Verdict("failed", "superseded", reason)
    back = [task for task in look.running if goal.covers(task, service)]
    hangs = is_hanging(goal, seen, look, now)
    moving = Verdict("moving", done=len(look.running) - len(back), wanted=look.wanted, hangs=hangs)
    if service.update_state == "rollback_paused":
        return fail(moving, "rollback_paused", f"Swarm paused the way back of {goal.service}: {why_paused(seen, service)}.")
    if len(back) == look.wanted:
        left = read_watch(goal, look) - seen.count_steady(look, back, now)
        if left <= 0 and service.update_state in SETTLED_STATES and not find_leftovers(look, back):
            return replace(moving, state="done")
        return find_stuck(goal, seen, look, now, replace(moving, settles_in=max(left, 0.0)))
    seen.count_steady(look, (), now)
    return find_failure(goal, seen, look, now, moving)


def judge_scale(goal: ScaleGoal, seen: Seen, look: Look, service: SwarmService, now: float) -> Verdict:
    """By the tasks alone: Swarm gives a pure scaling no UpdateStatus."""
    if service.replicas != goal.replicas:
        reason = f"{goal.service} was scaled by somebody else meanwhile: {service.replicas} are wanted now."
        return Verdict("failed", "superseded", reason)
    moving = Verdict("moving", done=min(len(look.running), goal.replicas), wanted=goal.replicas)
    if len(look.running) == goal.replicas:
        left = (goal.limits.monitor if goal.is_out else 0.0) - seen.count_steady(look, look.running, now)
        if left <= 0 and not find_leftovers(look, look.running):
            return replace(moving, state="done")
        return find_stuck(goal, seen, look, now, replace(moving, settles_in=max(left, 0.0)))
    seen.count_steady(look, (), now)
    return find_failure(goal, seen, look, now, moving)


def judge_job(goal: JobGoal, seen: Seen, look: Look, service: SwarmService, now: float) -> Verdict:
    if service.force_update != goal.force_update:
        reason = f"{goal.service} was updated by somebody else meanwhile: it is now at {cut(service.image)}."
        return Verdict("failed", "superseded", reason)
    completed = [task for task in look.tasks if task.state == "complete" and goal.covers(task, service)]
    moving = Verdict("moving", done=min(len(completed), look.wanted), wanted=look.wanted)
    if len(completed) >= look.wanted:
        steady = seen.count_steady(look, (), now)
        has_waited = look.wanted > 0 or service.mode == "replicated-job" or steady >= goal.limits.monitor
        return replace(moving, state="done") if has_waited else moving
    return find_failure(goal, seen, look, now, moving)


# What stands against it


def fail(verdict: Verdict, code: str, reason: str) -> Verdict:
    return replace(verdict, state="failed", code=code, reason=reason)


def why_paused(seen: Seen, service: SwarmService) -> str:
    """The task's own error; Swarm's message names the task by its id alone."""
    return seen.last_failure or cut(str(service.update_status.get("Message") or "")) or "it does not say why"


def is_hanging(goal: AnyGoal, seen: Seen, look: Look, now: float) -> bool:
    """Swarm's updater can wait for ever for a task on a node that was lost in the middle of an update: nothing fails, every
    wanted task runs, some are not updated, and nothing moves. Any change of the spec makes it begin again with what is left.
    """
    assert look.service
    lost = [task for task in look.tasks if task.state in LIVE_STATES and not look.is_reachable(task)]
    at_rest = len(look.running) >= look.wanted and all(task.state == "running" for task in look.live)
    is_under_way = look.service.update_state in {"updating", "rollback_started"}
    patience = HANGING_SECONDS + goal.limits.delay + goal.limits.monitor
    return bool(lost) and at_rest and is_under_way and now - seen.changed_at >= patience


def find_leftovers(look: Look, wanted: list[Task]) -> list[Task]:
    """Other tasks whose containers still run."""
    return [task for task in look.tasks if task.runs and task not in wanted and look.is_reachable(task)]


def find_failure(goal: AnyGoal, seen: Seen, look: Look, now: float, moving: Verdict) -> Verdict:
    """`moving`, or the failure that shows in the tasks."""
    if seen.worst >= FAILURES_OF_A_PLACE:
        reason = f"{goal.service} keeps failing, {seen.worst} tasks in one place so far: {seen.last_failure}."
        return fail(moving, "tasks_failed", reason)
    occupied = {look.place_of(task) for task in look.live}
    abandoned = set(seen.failures) - occupied
    if look.is_spread_over_nodes:
        abandoned &= {node.id for node in look.nodes.values() if node.takes_tasks}
    if not abandoned or (not look.is_spread_over_nodes and len(occupied) >= look.wanted):
        seen.abandoned_since = None
    elif seen.abandoned_since is None:
        seen.abandoned_since = now
    elif now - seen.abandoned_since >= ABANDONED_SECONDS:
        reason = f"{goal.service} has failed and Swarm does not start it again: {seen.last_failure}."
        return fail(moving, "tasks_failed", reason)
    return find_stuck(goal, seen, look, now, moving)


def find_stuck(goal: AnyGoal, seen: Seen, look: Look, now: float, moving: Verdict) -> Verdict:
    """`moving`, or the failure that nothing goes on."""
    assert look.service
    live = [task for task in look.live if goal.covers(task, look.service)]
    unplaced = [task for task in live if task.state == "pending" and task.error]
    if not unplaced:
        seen.unplaced_since = None
    elif seen.unplaced_since is None:
        seen.unplaced_since = now
    lost = describe_lost_nodes(look)
    if seen.unplaced_since is not None and now - seen.unplaced_since >= goal.limits.unplaced:
        reason = f"{goal.service} is stuck for {goal.limits.unplaced:.0f} s: {describe_unplaced(unplaced)}."
        return fail(moving, "stuck", f"{reason} {lost}." if lost else reason)
    if now - seen.changed_at < goal.limits.silent:
        return moving
    waiting = [task for task in look.tasks if (task.is_live and task.state != "running") or (task.runs and not task.is_wanted)]
    reason = f"Nothing has happened to {goal.service} for {goal.limits.silent:.0f} s: "
    reason += f"{describe_waiting(look, waiting)}." if waiting else "Swarm starts no task of it."
    return fail(moving, "stuck", f"{reason} {lost}." if lost else reason)

"""Judge how far a service has come towards its goal, from one look at it, from earlier looks, and from a clock.

Swarm's own verdict, UpdateStatus, is never enough: every change of the spec resets it, and scaling does not set it at all.
The tasks have to agree with it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from clusters.engine.swarm.goals import FAILURES_OF_A_PLACE, AnyGoal, JobGoal, RollbackGoal, ScaleGoal, UpdateGoal
from clusters.engine.swarm.objects import FAILED_STATES, LIVE_STATES, SwarmService, SwarmTask
from clusters.engine.swarm.observed import ServiceLook
from clusters.engine.swarm.rules import TIMEOUT_LABEL
from clusters.engine.swarm.task_wording import describe_end, describe_lost_nodes, describe_unplaced, describe_waiting
from clusters.engine.wording import cut

ABANDONED_SECONDS = 1.0  # without a successor of a failed task: Swarm creates one at the same moment, or never
HANGING_SECONDS = 10.0  # on top of the service's own delay between tasks and its monitor period
# Between two looks. During a longer gap the machine or the manager was stuck or overloaded, and then Swarm learns late of a
# task's end, too: only this much of the gap counts as steady.
LONGEST_GAP_SECONDS = 0.6
SETTLED_STATES = ("", "completed", "rollback_completed")
NEWS_AT_MOST = 10


@dataclass(frozen=True)
class Judgement:
    """The result of one look at a service.

    `rolling_back` means that Swarm itself rolls the update back, for `reason`. `news` are sentences to report once each.
    `settles_in` is the number of seconds until the monitor period is over if nothing else happens. For `hangs` see
    `is_hanging`.
    """

    state: Literal["moving", "done", "failed", "rolling_back"]
    code: str = ""
    reason: str = ""
    done: int = 0
    wanted: int = 0
    news: tuple[str, ...] = ()
    settles_in: float | None = None
    hangs: bool = False


@dataclass
class Seen:
    """What earlier looks have shown. Times are seconds of a monotonic clock."""

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
    _failed: list[SwarmTask] = field(default_factory=list)
    _judged: set[str] = field(default_factory=set)
    _dismissed: set[str] = field(default_factory=set)

    def note(self, goal: AnyGoal, look: ServiceLook, now: float) -> tuple[str, ...]:
        """Remember the look. Return a sentence for each new failure."""
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

    def _is_new_failure(self, task: SwarmTask, service: SwarmService) -> bool:
        """Return whether the task has newly failed. A task that Swarm stopped can end in any way."""
        ended_early = task.state == "complete" and not service.is_job
        if task.state in FAILED_STATES or ended_early:
            is_new = task.id not in self._judged and task.id not in self._dismissed
            self._judged.add(task.id)
            return is_new
        if not task.is_wanted:
            self._dismissed.add(task.id)
        return False

    def _take_failure(self, look: ServiceLook, task: SwarmTask) -> str:
        self.failures.setdefault(look.place_of(task), set()).add(task.id)
        self._failed.append(task)
        sentence = describe_end(look, task)
        if task.changed_at >= self.last_failure_at:
            self.last_failure, self.last_failure_at = sentence, task.changed_at
        return sentence

    def take_failed(self) -> list[SwarmTask]:
        """Return the tasks that were noted as failed since the last call of this."""
        taken, self._failed = self._failed, []
        return taken

    @property
    def worst(self) -> int:
        """The number of failures in the place that has the most."""
        return max(map(len, self.failures.values()), default=0)

    def count_steady(self, look: ServiceLook, tasks: Iterable[SwarmTask], now: float) -> float:
        """Return the seconds that exactly these tasks have been seen running.

        The time counts from the first look's answer until the last look's request.
        """
        steady = frozenset(task.id for task in tasks)
        if steady != self.steady:
            self.steady, self.steady_seconds, self.steady_seen_at = steady, 0.0, now
            return 0.0
        asked_at = now if look.asked_at is None else look.asked_at
        self.steady_seconds += min(max(asked_at - self.steady_seen_at, 0.0), LONGEST_GAP_SECONDS)
        self.steady_seen_at = asked_at
        return self.steady_seconds


def judge(goal: AnyGoal, seen: Seen, look: ServiceLook, now: float) -> Judgement:
    if look.service is None:
        return Judgement("failed", "not_found", f"{goal.service} was removed in the meantime.")
    news = seen.note(goal, look, now)[:NEWS_AT_MOST]
    match goal:
        case UpdateGoal():
            judgement = judge_update(goal, seen, look, look.service, now)
        case RollbackGoal():
            judgement = judge_rollback(goal, seen, look, look.service, now)
        case ScaleGoal():
            judgement = judge_scale(goal, seen, look, look.service, now)
        case JobGoal():
            judgement = judge_job(goal, seen, look, look.service, now)
    return replace(judgement, news=news)


def judge_update(goal: UpdateGoal, seen: Seen, look: ServiceLook, service: SwarmService, now: float) -> Judgement:
    is_earlier = bool(goal.earlier_update) and service.update_started_at == goal.earlier_update
    state = "" if is_earlier else service.update_state
    if service.force_update != goal.force_update or service.image != goal.image:
        return judge_replaced(goal, seen, service, state)
    updated = [task for task in look.running if goal.covers(task, service)]
    hangs = is_hanging(goal, seen, look, now)
    moving = Judgement("moving", done=min(len(updated), look.wanted), wanted=look.wanted, hangs=hangs)
    if state in {"paused", "rollback_paused"}:
        return fail(moving, "update_paused", f"Swarm paused the update of {goal.service}: {explain_pause(seen, service)}.")
    if len(updated) == look.wanted:
        left = read_watch_seconds(goal, look) - seen.count_steady(look, updated, now)
        if left <= 0 and not find_old_tasks(look, updated) and state in SETTLED_STATES:
            return replace(moving, state="done")
        return find_stuck(goal, seen, look, now, replace(moving, settles_in=max(left, 0.0)))
    seen.count_steady(look, (), now)
    if state == "updating" and not has_failed_too_often(goal, seen, now):
        return find_stuck(goal, seen, look, now, moving)
    return find_failure(goal, seen, look, now, moving)


def has_failed_too_often(goal: UpdateGoal, seen: Seen, now: float) -> bool:
    """Return whether the wait for Swarm's own verdict is over although Swarm has not given it yet."""
    if goal.patience is None or seen.failing_since is None:
        return False
    return seen.worst >= goal.patience.failures and now - seen.failing_since >= goal.patience.seconds


def judge_replaced(goal: UpdateGoal, seen: Seen, service: SwarmService, state: str) -> Judgement:
    """Judge a spec that is no longer ours: Swarm rolled it back, or someone else changed it."""
    if state.startswith("rollback_") and service.force_update == goal.force_update - 1:
        reason = f"Swarm rolled back the update of {goal.service}: {explain_pause(seen, service)}."
        return Judgement("rolling_back", "update_failed", reason)
    return judge_superseded(goal, service, "in the meantime")


def judge_superseded(goal: AnyGoal, service: SwarmService, when: str) -> Judgement:
    reason = f"{goal.service} was updated by someone else {when}: its image is now {cut(service.image)}."
    return Judgement("failed", "superseded", reason)


def read_watch_seconds(goal: AnyGoal, look: ServiceLook) -> float:
    """Return how many seconds converged tasks are watched."""
    return goal.limits.monitor if look.wanted or look.is_spread_over_nodes else 0.0


def judge_rollback(goal: RollbackGoal, seen: Seen, look: ServiceLook, service: SwarmService, now: float) -> Judgement:
    """Watch a rollback like any other update: Swarm's `rollback_completed` is not enough.

    Swarm reports it at once, without watching anything, where it finds no task to replace: after a task that failed and was
    not started again, or one that had the previous spec at that moment.
    """
    if service.force_update != goal.force_update:
        return judge_superseded(goal, service, "during its rollback")
    restored = [task for task in look.running if goal.covers(task, service)]
    hangs = is_hanging(goal, seen, look, now)
    moving = Judgement("moving", done=len(look.running) - len(restored), wanted=look.wanted, hangs=hangs)
    if service.update_state == "rollback_paused":
        return fail(moving, "rollback_paused", f"Swarm paused the rollback of {goal.service}: {explain_pause(seen, service)}.")
    if len(restored) == look.wanted:
        left = read_watch_seconds(goal, look) - seen.count_steady(look, restored, now)
        if left <= 0 and service.update_state in SETTLED_STATES and not find_old_tasks(look, restored):
            return replace(moving, state="done")
        return find_stuck(goal, seen, look, now, replace(moving, settles_in=max(left, 0.0)))
    seen.count_steady(look, (), now)
    return find_failure(goal, seen, look, now, moving)


def judge_scale(goal: ScaleGoal, seen: Seen, look: ServiceLook, service: SwarmService, now: float) -> Judgement:
    """Judge by the tasks alone: Swarm sets no UpdateStatus when only the count changes."""
    if service.replicas != goal.replicas:
        reason = f"{goal.service} was scaled by someone else in the meantime: its replica count is now {service.replicas}."
        return Judgement("failed", "superseded", reason)
    moving = Judgement("moving", done=min(len(look.running), goal.replicas), wanted=goal.replicas)
    if len(look.running) == goal.replicas:
        left = (goal.limits.monitor if goal.is_out else 0.0) - seen.count_steady(look, look.running, now)
        if left <= 0 and not find_old_tasks(look, look.running):
            return replace(moving, state="done")
        return find_stuck(goal, seen, look, now, replace(moving, settles_in=max(left, 0.0)))
    seen.count_steady(look, (), now)
    return find_failure(goal, seen, look, now, moving)


def judge_job(goal: JobGoal, seen: Seen, look: ServiceLook, service: SwarmService, now: float) -> Judgement:
    if service.force_update != goal.force_update:
        return judge_superseded(goal, service, "in the meantime")
    completed = [task for task in look.tasks if task.state == "complete" and goal.covers(task, service)]
    moving = Judgement("moving", done=min(len(completed), look.wanted), wanted=look.wanted)
    if len(completed) >= look.wanted:
        steady = seen.count_steady(look, (), now)
        has_waited = look.wanted > 0 or service.mode == "replicated-job" or steady >= goal.limits.monitor
        return replace(moving, state="done") if has_waited else moving
    return find_failure(goal, seen, look, now, moving)


# Problems


def fail(judgement: Judgement, code: str, reason: str) -> Judgement:
    return replace(judgement, state="failed", code=code, reason=reason)


def explain_pause(seen: Seen, service: SwarmService) -> str:
    """Prefer the task's own error: Swarm's message names the task by its id alone."""
    return seen.last_failure or cut(str(service.update_status.get("Message") or "")) or "it gave no reason"


def is_hanging(goal: AnyGoal, seen: Seen, look: ServiceLook, now: float) -> bool:
    """Return whether Swarm's updater waits for a task on a node that was lost in the middle of an update.

    It can do so forever: nothing fails, every wanted task runs, some are not updated, and nothing moves. Any change of the
    spec makes it start again with the rest.
    """
    assert look.service
    lost = [task for task in look.tasks if task.state in LIVE_STATES and not look.is_reachable(task)]
    is_idle = len(look.running) >= look.wanted and all(task.state == "running" for task in look.live)
    is_under_way = look.service.update_state in {"updating", "rollback_started"}
    patience = HANGING_SECONDS + goal.limits.delay + goal.limits.monitor
    return bool(lost) and is_idle and is_under_way and now - seen.changed_at >= patience


def find_old_tasks(look: ServiceLook, wanted: list[SwarmTask]) -> list[SwarmTask]:
    """Return the other tasks whose containers still run."""
    return [task for task in look.tasks if task.runs and task not in wanted and look.is_reachable(task)]


def find_failure(goal: AnyGoal, seen: Seen, look: ServiceLook, now: float, moving: Judgement) -> Judgement:
    """Return the failure that the tasks show, or `moving` if there is none."""
    if seen.worst >= FAILURES_OF_A_PLACE:
        place = "on one node" if look.is_spread_over_nodes else "in one slot"
        reason = f"{goal.service} keeps failing, {seen.worst} tasks {place} so far: {seen.last_failure}."
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


def find_stuck(goal: AnyGoal, seen: Seen, look: ServiceLook, now: float, moving: Judgement) -> Judgement:
    """Return the failure that nothing moves any longer, or `moving` if something still does."""
    assert look.service
    live = [task for task in look.live if goal.covers(task, look.service)]
    unplaced = [task for task in live if task.state == "pending" and task.error]
    if not unplaced:
        seen.unplaced_since = None
    elif seen.unplaced_since is None:
        seen.unplaced_since = now
    lost = describe_lost_nodes(look)
    if seen.unplaced_since is not None and now - seen.unplaced_since >= goal.limits.unplaced:
        reason = f"{goal.service} has been stuck for {goal.limits.unplaced:.0f} s: {describe_unplaced(unplaced)}."
        return fail(moving, "stuck", f"{reason} {lost}." if lost else reason)
    preparing = [task for task in live if task.state == "preparing"]
    patience = max(goal.limits.silent, goal.limits.pull) if preparing else goal.limits.silent
    if now - seen.changed_at < patience:
        return moving
    waiting = [task for task in look.tasks if (task.is_live and task.state != "running") or (task.runs and not task.is_wanted)]
    reason = f"Nothing has happened to {goal.service} for {patience:.0f} s: "
    reason += f"{describe_waiting(look, waiting)}." if waiting else "Swarm starts none of its tasks."
    if preparing:
        reason += f" A task is preparing while its node pulls the image; the label {TIMEOUT_LABEL} gives it more time."
    return fail(moving, "stuck", f"{reason} {lost}." if lost else reason)

"""Execute a scaling: set the count, follow the tasks, and set the previous count again after a failure or a cancellation."""

from dataclasses import replace
from typing import TYPE_CHECKING

from clusters.engine.driver import Check, Outcome, Progress, Report
from clusters.engine.errors import Cancelled, EngineError, EngineUnreachable
from clusters.engine.evidence import Keep
from clusters.engine.interruption import InterruptibleCheck
from clusters.engine.swarm import outcomes
from clusters.engine.swarm.follower import Follower, ServiceRun
from clusters.engine.swarm.goals import ScaleGoal
from clusters.engine.swarm.manager import SwarmManager
from clusters.engine.swarm.plan import FollowScale, Scale, SwarmPlan
from clusters.engine.swarm.requests import ServiceRequests

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient


class SwarmScaleExecution:
    def __init__(
        self, client: "EngineClient", plan: SwarmPlan, report: Report, check: Check, progress: Progress, keep: Keep
    ) -> None:
        self.plan = plan
        self._report = report
        self._check = InterruptibleCheck(check, interruptible=True)
        manager = SwarmManager(client, report, self._check)
        self._requests = ServiceRequests(manager)
        # Swarm does not roll a scaling back.
        self._follower = Follower(manager, progress, keep, on_rollback=lambda run: None, on_hang=self._requests.wake_up)

    def run(self) -> Outcome:
        (goal,) = (operation for operation in self.plan.operations if isinstance(operation, FollowScale))
        run = ServiceRun(goal.service)
        try:
            return self._run_operations(run)
        except Cancelled as error:
            return self._withdraw(run, goal, error)

    def _run_operations(self, run: ServiceRun) -> Outcome:
        for operation in self.plan.operations:
            self._report("info", operation.word, operation.describe())
            try:
                if isinstance(operation, Scale):
                    self._requests.send_replicas(run.planned, operation.replicas)
                elif isinstance(operation, FollowScale):
                    return self._follow_scale(run, operation)
            except (EngineUnreachable, Cancelled):
                raise
            except EngineError as error:
                return Outcome("failed", error.code, outcomes.describe_refused(run.planned, error))
        raise AssertionError("the last operation of a scaling follows it")

    def _follow_scale(self, run: ServiceRun, operation: FollowScale) -> Outcome:
        self._check.interruptible = not operation.reason
        self._follow_replicas(run, operation.replicas, operation.is_out)
        if operation.reason:
            run.code, run.reason = "scale_failed", operation.reason
            return outcomes.conclude_scale(self.plan, run, operation, was_restored=True)
        was_restored = run.has_failed and not run.is_changed_by_others and self._restore(run, operation.restore)
        return outcomes.conclude_scale(self.plan, run, operation, was_restored)

    def _follow_replicas(self, run: ServiceRun, replicas: int, is_out: bool) -> None:
        planned = run.planned
        run.aim(ScaleGoal(service=planned.name, limits=planned.limits, replicas=replicas, is_out=is_out))
        self._follower.follow([run], until=lambda: False)

    def _restore(self, run: ServiceRun, replicas: int | None) -> bool:
        """Set the count back, unless `replicas` is None. Return whether it was done."""
        if replicas is None:
            return False
        self._check.interruptible = False
        self._report("warning", "scale", f"set the replicas of {run.planned.full_name} back to {replicas}")
        try:
            self._requests.send_replicas(run.planned, replicas)
        except EngineUnreachable:
            raise
        except EngineError as error:
            run.reason = f"{run.reason} {outcomes.describe_lost_rollback(run.planned, error)}"
            return False
        self._follow_replicas(run, replicas, is_out=False)
        return True

    def _withdraw(self, run: ServiceRun, operation: FollowScale, error: Cancelled) -> Outcome:
        """Set the count back to what it was before the call, unless others have changed it since."""
        self._check.interruptible = False
        self._follower.look_at([run])
        count = run.look.service.replicas if run.look and run.look.service else None
        if count == operation.before:
            return Outcome("failed", error.code, outcomes.describe_untouched(error.message))
        run.fail(error.code, error.message)
        was_restored = count == operation.replicas and self._restore(run, operation.before)
        outcome = outcomes.conclude_scale(self.plan, run, replace(operation, restore=operation.before), was_restored)
        return replace(outcome, state="rolled_back") if was_restored and run.is_done else outcome

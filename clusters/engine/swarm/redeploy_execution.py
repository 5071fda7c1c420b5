"""Execute a redeploy or a restart: the order of its operations, the rollback after a failure, and the withdrawal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clusters.engine.driver import Check, Outcome, Progress, Report
from clusters.engine.errors import Cancelled, EngineError, EngineUnreachable
from clusters.engine.evidence import Keep
from clusters.engine.hooks import HookFailed
from clusters.engine.interruption import InterruptibleCheck
from clusters.engine.swarm import outcomes
from clusters.engine.swarm.digests import DigestResolver, Unresolved
from clusters.engine.swarm.follower import Follower, ServiceRun
from clusters.engine.swarm.goals import JobGoal, RollbackGoal, UpdateGoal
from clusters.engine.swarm.jobs import JobRunner
from clusters.engine.swarm.manager import SwarmManager
from clusters.engine.swarm.plan import FinishRollback, Follow, PlannedService, RemoveService, Resolve, RunJob, SwarmPlan, Update
from clusters.engine.swarm.requests import ServiceRequests

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient


class SwarmRedeployExecution:
    def __init__(
        self, client: "EngineClient", plan: SwarmPlan, report: Report, check: Check, progress: Progress, keep: Keep
    ) -> None:
        self.plan = plan
        self._report = report
        self._check = InterruptibleCheck(check, interruptible=True)
        manager = SwarmManager(client, report, self._check)
        self._digests = DigestResolver(manager)
        self._requests = ServiceRequests(manager)
        self._jobs = JobRunner(manager, keep)
        self._follower = Follower(manager, progress, keep, on_rollback=self._aim_at_rollback, on_hang=self._requests.wake_up)
        self._runs: dict[str, ServiceRun] = {}  # by name, in the order of the plan
        self._updates = [operation.service for operation in plan.operations if isinstance(operation, Update)]

    def run(self) -> Outcome:
        try:
            self._resolve_digests()
            self._run_operations()
        except (Unresolved, HookFailed) as error:
            return Outcome("failed", error.code, outcomes.describe_untouched(error.message))
        except Cancelled as error:
            for operation in self.plan.operations:
                if isinstance(operation, RunJob):  # an earlier attempt may have started it
                    self._jobs.remove(str(operation.spec["Name"]))
            if not self._withdraw(error):
                return Outcome("failed", error.code, outcomes.describe_untouched(error.message))
        not_started = {service.name for service in self._updates} - set(self._runs)
        names = sorted({*not_started, *self.plan.not_started})
        return outcomes.conclude_redeploy(self.plan, list(self._runs.values()), names, self._digests.warnings)

    def _run_of(self, service: PlannedService) -> ServiceRun:
        return self._runs.setdefault(service.name, ServiceRun(service))

    def _resolve_digests(self) -> None:
        resolves = [operation for operation in self.plan.operations if isinstance(operation, Resolve)]
        self._digests.resolve(resolves)
        resolved = {operation.reference for operation in resolves}
        self._digests.check_credentials(sorted({service.reference for service in self._updates} - resolved))

    def _run_operations(self) -> None:
        for operation in self.plan.operations:
            match operation:
                case Update():
                    self._update(operation)
                case Follow():
                    self._follow_wave(operation)
                    if any(run.has_failed for run in self._runs.values()):
                        self._roll_back()
                        return
                case RunJob():
                    if not self._run_job(operation):
                        self._roll_back()
                        return
                case RemoveService():
                    self._jobs.remove(operation.service)
                case FinishRollback():
                    self._finish_rollback(operation)

    def _run_job(self, operation: RunJob) -> bool:
        """Return whether the service passed. Raises HookFailed before anything is touched."""
        try:
            self._jobs.run(operation, self._digests.find_image(operation.reference))
        except HookFailed as error:
            run = self._runs.get(operation.service)
            if run is None:
                raise
            self._report("error", operation.kind, error.message)
            run.fail(error.code, error.message)
            return False
        return True

    def _update(self, operation: Update) -> None:
        run = self._run_of(operation.service)
        self._report("info", operation.word, operation.describe())
        image = operation.service.pinned or self._digests.find_image(operation.service.reference)
        try:
            self._aim_at_update(run, self._requests.send_update(run, image), image)
        except (EngineUnreachable, Cancelled):
            raise
        except EngineError as error:
            run.fail(error.code, outcomes.describe_refused(run.planned, error))
            self._report("error", operation.word, run.reason)

    def _aim_at_update(self, run: ServiceRun, force_update: int, image: str) -> None:
        planned = run.planned
        run.was_touched, run.previous_force_update = True, force_update - 1
        if planned.is_job:
            run.aim(JobGoal(service=planned.name, limits=planned.limits, force_update=force_update))
            return
        run.aim(
            UpdateGoal(
                service=planned.name,
                limits=planned.limits,
                force_update=force_update,
                image=image,
                earlier_update=planned.earlier_update,
                patience=planned.patience,
            )
        )

    def _follow_wave(self, operation: Follow) -> None:
        self._report("info", operation.word, operation.describe())
        runs = [self._run_of(service) for service in operation.services]
        for run in runs:
            if run.goal is None and not run.has_failed:
                self._resume(run)
        self._follow(runs, stops_at_failure=self.plan.rolls_back)

    def _resume(self, run: ServiceRun) -> None:
        """Take the goal from the service as it is now: an earlier attempt has sent its update."""
        self._follower.look_at([run])
        service = run.look.service if run.look else None
        if service and service.force_update == run.previous_force_update:
            run.fail("update_failed", outcomes.describe_earlier_failure(run))
            self._aim_at_rollback(run)
        elif service:
            self._aim_at_update(run, run.previous_force_update + 1, service.image)
        else:
            run.fail("not_found", outcomes.describe_removed(run.planned))

    def _follow(self, runs: Sequence[ServiceRun], stops_at_failure: bool) -> None:
        def is_over() -> bool:
            return stops_at_failure and any(run.has_failed for run in runs)

        if runs and not is_over():
            self._follower.follow(runs, is_over)

    # Rollback

    def _aim_at_rollback(self, run: ServiceRun) -> None:
        planned = run.planned
        run.was_touched = True
        goal = RollbackGoal(service=planned.name, limits=planned.limits.of_rollback, force_update=run.previous_force_update)
        run.aim(goal, is_rollback=True)

    def _roll_back(self) -> None:
        """Roll back the services that the plan says, and follow Swarm's own rollbacks to their end."""
        self._check.interruptible = False
        runs = list(self._runs.values())
        for run in runs:
            remedy = run.planned.remedy
            is_meant = remedy != "leave" and (self.plan.rolls_back or (run.has_failed and remedy == "swarm"))
            if is_meant and run.was_touched and not run.is_rolling_back and not run.is_changed_by_others:
                self._send_rollback(run)
        self._follow([run for run in runs if run.goal is not None], stops_at_failure=False)

    def _send_rollback(self, run: ServiceRun) -> None:
        try:
            self._requests.send_rollback(run)
        except EngineUnreachable:
            raise
        except EngineError as error:
            reason = outcomes.describe_lost_rollback(run.planned, error)
            self._report("error", "rollback", reason)
            run.reason = f"{run.reason} {reason}".strip()
            run.code = run.code or error.code
            return
        self._aim_at_rollback(run)

    def _finish_rollback(self, operation: FinishRollback) -> None:
        self._check.interruptible = False
        self._report("warning", operation.word, operation.describe())
        runs = [self._run_of(service) for service in (*operation.rolling_back, *operation.updated)]
        self._follower.look_at(runs)
        for run in runs:
            run.was_touched = True
            if reason := outcomes.describe_earlier_failure(run):
                run.fail("update_failed", reason)
        if not any(run.has_failed for run in runs):
            runs[0].fail("update_failed", outcomes.describe_forgotten_failure(runs[0]))
        for service in operation.rolling_back:
            self._aim_at_rollback(self._run_of(service))
        self._roll_back()

    # Withdrawal

    def _withdraw(self, error: Cancelled) -> bool:
        """Roll back everything that was sent, whatever the plan says about failures. Return whether anything was sent.

        Jobs and a restart are left: a rollback would run them once more.
        """
        self._check.interruptible = False
        self._take_up_earlier_updates()
        self._runs = {name: run for name, run in self._runs.items() if run.was_touched or run.has_failed}
        touched = [run for run in self._runs.values() if run.was_touched]
        if not touched:
            return False
        touched[0].fail(error.code, error.message)
        for run in touched:
            is_left = run.planned.is_job or self.plan.action == "restart" or run.is_changed_by_others
            if not (run.is_rolling_back or is_left):
                self._send_rollback(run)
        self._follow([run for run in touched if run.is_rolling_back], stops_at_failure=False)
        self._follower.look_at(touched)
        return True

    def _take_up_earlier_updates(self) -> None:
        """Take up the services whose update an earlier attempt has sent."""
        own = {service.name for service in self._updates}
        followed = [
            service for operation in self.plan.operations if isinstance(operation, Follow) for service in operation.services
        ]
        for service in followed:
            if service.name not in {*own, *self._runs}:
                self._resume(self._run_of(service))

"""Carries out a Swarm's plan. What follows a failure is in the plan too: nothing is decided here."""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clusters.engine.driver import Check, Outcome, Progress, Report, ignore_progress
from clusters.engine.errors import Cancelled, EngineError, EngineRefused, EngineUnreachable, PullFailed
from clusters.engine.interruption import InterruptibleCheck
from clusters.engine.lanes import LaneRunner
from clusters.engine.swarm import outcomes
from clusters.engine.swarm.deletion import execute_deletion
from clusters.engine.swarm.follow import Follower, Run
from clusters.engine.swarm.images import STACK_IMAGE_LABEL, pin
from clusters.engine.swarm.observed import SwarmService, make_service
from clusters.engine.swarm.plan import Follow, FollowScale, GoBack, Part, Resolve, Scale, SwarmPlan, Update
from clusters.engine.swarm.progress import JobGoal, ReturnGoal, ScaleGoal, UpdateGoal
from clusters.engine.swarm.wording import describe_lost_nodes

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

VERSION_ATTEMPTS = 5  # a service that others change at the same moment is read and tried again
WOKEN_LABEL = "windlass.update.woken"  # on services
NOT_OURS = {"superseded", "not_found"}  # failures after which a service is left to whoever changed it


def execute_plan(
    client: "EngineClient", plan: SwarmPlan, report: Report, check: Check, progress: Progress = ignore_progress
) -> Outcome:
    """See driver.EngineDriver.execute."""
    execution = Execution(client, plan, report, check, progress)
    for note in plan.notes:
        report("info", "plan", note)
    for warning in plan.warnings:
        report("warning", "plan", warning)
    if plan.action == "delete":
        return execute_deletion(client, plan, report, check)
    return execution.scale() if plan.action == "scale" else execution.redeploy()


def with_update(service: SwarmService, image: str, force_update: int, written: str = "") -> dict[str, Any]:
    """The whole spec, with these as given. `written`: the reference that a stack's label is to tell from now on."""
    spec = deepcopy(dict(service.spec))
    spec["TaskTemplate"]["ContainerSpec"]["Image"] = image
    spec["TaskTemplate"]["ForceUpdate"] = force_update
    if written and STACK_IMAGE_LABEL in service.labels:
        spec["Labels"] = {**service.labels, STACK_IMAGE_LABEL: written}
    return spec


def is_final(operation: Resolve, error: EngineError) -> bool:
    """Whether an update would be in vain, or lead elsewhere. Else each node may know more than the manager: an image that no
    registry has, or credentials that Swarm holds."""
    if operation.required or error.code == "credentials_failed":
        return True
    is_refused = error.code == "pull_unauthorized" and isinstance(error, PullFailed) and error.had_credentials
    return operation.pinned and (error.code == "pull_not_found" or is_refused)


class Execution:
    def __init__(self, client: "EngineClient", plan: SwarmPlan, report: Report, check: Check, progress: Progress) -> None:
        self.plan = plan
        self._client, self._report = client, report
        self._check = InterruptibleCheck(check, interruptible=True)
        self._follower = Follower(client, report, self._check, progress, self._aim_at_return, self._wake_up)
        self._runs: dict[str, Run] = {}  # by name, in the order of the plan
        self._images: dict[str, str] = {}  # by reference, what to update to
        self._warnings: list[str] = []  # for the outcome's message too

    def _run_of(self, part: Part) -> Run:
        return self._runs.setdefault(part.name, Run(part))

    # Redeploy

    def redeploy(self) -> Outcome:
        resolves = [operation for operation in self.plan.operations if isinstance(operation, Resolve)]
        try:
            if failure := self._resolve(resolves) or self._check_credentials(resolves):
                return failure
            self._work_off()
        except Cancelled as error:
            if not self._withdraw(error):
                return Outcome("failed", error.code, outcomes.describe_untouched(error.message))
        begun = set(self._runs)
        unbegun = {op.part.name for op in self.plan.operations if isinstance(op, Update)} - begun
        names = sorted({*unbegun, *self.plan.unbegun})
        return outcomes.conclude_redeploy(self.plan, list(self._runs.values()), names, self._warnings)

    def _work_off(self) -> None:
        for operation in self.plan.operations:
            match operation:
                case Update():
                    self._perform_update(operation)
                case Follow():
                    self._follow_wave(operation)
                case GoBack():
                    self._finish_going_back(operation)
            if isinstance(operation, Follow) and any(run.has_failed for run in self._runs.values()):
                self._go_back()
                break

    def _resolve(self, operations: Sequence[Resolve]) -> Outcome | None:
        """The outcome when a registry does not know a reference that it knew, or that has to be known."""
        found: dict[str, str | EngineError] = {}

        def make_job(reference: str) -> Any:
            def work(client: "EngineClient") -> None:
                try:
                    found[reference] = client.resolve_digest(reference)
                except EngineError as error:
                    found[reference] = error

            return work

        for operation in operations:
            self._report("info", operation.word, operation.describe())
        jobs = [make_job(operation.reference) for operation in operations]
        LaneRunner(self._client, self._report, self._check).run(jobs, may_leave=True)
        for operation in operations:
            digest = found[operation.reference]
            if isinstance(digest, str):
                self._images[operation.reference] = pin(operation.reference, digest)
                self._report("info", operation.word, f"{operation.reference} is {digest}")
                continue
            if isinstance(digest, EngineUnreachable):
                self._follower.ask(self._client.version)  # the manager answers: it was the registry that did not
            if is_final(operation, digest):
                return Outcome("failed", digest.code, outcomes.describe_untouched(digest.message))
            self._warn(operation.word, outcomes.describe_unresolved(operation.reference, digest))
        return None

    def _check_credentials(self, resolves: Sequence[Resolve]) -> Outcome | None:
        """The outcome when an update without a look-up before it would find no credentials, with others updated already."""
        updated = {operation.part.reference for operation in self.plan.operations if isinstance(operation, Update)}
        for reference in sorted(updated - {operation.reference for operation in resolves}):
            try:
                self._client.check_credentials(reference)
            except PullFailed as error:
                return Outcome("failed", error.code, outcomes.describe_untouched(error.message))
        return None

    def _warn(self, word: str, text: str) -> None:
        self._warnings.append(text)
        self._report("warning", word, text)

    def _perform_update(self, operation: Update) -> None:
        run = self._run_of(operation.part)
        self._report("info", operation.word, operation.describe())
        try:
            self._send_update(run)
        except (EngineUnreachable, Cancelled):
            raise
        except EngineError as error:
            run.fail(error.code, outcomes.describe_refused(run.part, error))
            self._report("error", operation.word, run.reason)

    def _send_update(self, run: Run) -> None:
        """Raises EngineRefused, TargetMissing, EngineUnreachable. Its answer may be lost: what is there is read first."""
        part = run.part
        image = self._images.get(part.reference, part.reference)
        expected: list[int] = []

        def send(service: SwarmService) -> None:
            if expected and service.force_update == expected[-1] and service.image == image:
                return
            if (part.replaces or part.reference) not in {service.reference, service.image}:
                raise EngineRefused(f"its image was changed to {service.reference[:200]} meanwhile", code="superseded")
            spec = with_update(service, image, service.force_update + 1, part.reference if part.replaces else "")
            run.image_before, run.written_before = service.image, service.labels.get(STACK_IMAGE_LABEL, "")
            expected.append(service.force_update + 1)
            try:
                self._take_warnings(part, self._client.update_service(part.id, service.version, spec))
            except EngineRefused:
                expected.clear()
                raise

        self._change(part, send)
        self._aim_at_update(run, expected[-1], image)

    def _change(self, part: Part, send: Any) -> None:
        """Read, then `send(service)`; again while others change it in between."""
        for attempt in range(VERSION_ATTEMPTS):
            self._check()
            try:
                self._follower.ask(lambda: send(make_service(self._client.inspect_service(part.id), part.name)))
                return
            except EngineRefused as error:
                if error.code != "out_of_sequence" or attempt == VERSION_ATTEMPTS - 1:
                    raise
                self._report("warning", "update", f"{part.name} was changed at the same moment: it is read again.")

    def _take_warnings(self, part: Part, warnings: Iterable[str]) -> None:
        for warning in warnings:
            self._report("warning", "update", outcomes.describe_warning(part, warning))

    def _aim_at_update(self, run: Run, force_update: int, image: str) -> None:
        part = run.part
        run.was_touched, run.previous = True, force_update - 1
        if part.is_job:
            run.aim(JobGoal(service=part.name, limits=part.limits, force_update=force_update))
            return
        goal = UpdateGoal(service=part.name, limits=part.limits, force_update=force_update, image=image)
        run.aim(replace(goal, stale=part.stale, patience=part.patience))

    def _follow_wave(self, operation: Follow) -> None:
        self._report("info", operation.word, operation.describe())
        runs = [self._run_of(part) for part in operation.parts]
        for run in runs:
            if run.goal is None and not run.has_failed:
                self._take_up(run)
        self._follow(runs, stops_at_failure=self.plan.goes_back)

    def _take_up(self, run: Run) -> None:
        """An earlier attempt has sent its update: the goal is what is there."""
        self._follower.look_at([run])
        service = run.look.service if run.look else None
        if service and service.force_update == run.previous:
            run.fail("update_failed", outcomes.describe_earlier_failure(run))
            self._aim_at_return(run)
        elif service:
            self._aim_at_update(run, run.previous + 1, service.image)
        else:
            run.fail("not_found", f"{run.part.name} was removed meanwhile.")

    def _follow(self, runs: Sequence[Run], stops_at_failure: bool) -> None:
        def is_over() -> bool:
            return stops_at_failure and any(run.has_failed for run in runs)

        if runs and not is_over():
            self._follower.follow(runs, is_over)

    def _wake_up(self, run: Run) -> None:
        """Swarm compares specs, so that the same one sent again would not do; a label restarts no task."""
        lost = run.look and describe_lost_nodes(run.look)
        self._report(
            "warning", "update", f"Swarm's update of {run.part.name} stands still ({lost}): it is woken up by a label."
        )

        def send(service: SwarmService) -> None:
            spec = deepcopy(dict(service.spec))
            spec["Labels"] = {**(spec.get("Labels") or {}), WOKEN_LABEL: str(service.version)}
            self._take_warnings(run.part, self._client.update_service(run.part.id, service.version, spec))

        self._change(run.part, send)

    # The way back

    def _aim_at_return(self, run: Run) -> None:
        goal = ReturnGoal(service=run.part.name, limits=run.part.limits.going_back, force_update=run.previous)
        run.was_touched = True
        run.aim(goal, returning=True)

    def _go_back(self) -> None:
        """Those that the plan says go back, and Swarm's own returns to their end."""
        self._check.interruptible = False
        runs = list(self._runs.values())
        for run in runs:
            goes_back = run.part.remedy != "leave" and (self.plan.goes_back or (run.has_failed and run.part.remedy == "swarm"))
            if goes_back and run.was_touched and not run.is_returning and run.code not in NOT_OURS:
                self._send_back(run)
        self._follow([run for run in runs if run.goal is not None], stops_at_failure=False)

    def _withdraw(self, error: Cancelled) -> bool:
        """Everything that was sent goes back, whatever the plan says of failures: but jobs and a restart, which would run
        once more for that. Whether anything was sent."""
        self._check.interruptible = False
        updates = {operation.part.name for operation in self.plan.operations if isinstance(operation, Update)}
        followed = [part for operation in self.plan.operations if isinstance(operation, Follow) for part in operation.parts]
        for part in followed:
            if part.name not in {*updates, *self._runs}:  # an earlier attempt has sent its update
                self._take_up(self._run_of(part))
        self._runs = {name: run for name, run in self._runs.items() if run.was_touched or run.has_failed}
        touched = [run for run in self._runs.values() if run.was_touched]
        if not touched:
            return False
        touched[0].fail(error.code, error.message)
        for run in touched:
            if not (run.is_returning or run.part.is_job or self.plan.action == "restart" or run.code in NOT_OURS):
                self._send_back(run)
        self._follow([run for run in touched if run.is_returning], stops_at_failure=False)
        self._follower.look_at(touched)
        return True

    def _send_back(self, run: Run) -> None:
        part = run.part
        self._report("warning", "rollback", f"go back with {part.full_name} to what it ran before")

        def send(service: SwarmService) -> None:
            if service.force_update == run.previous and service.update_state.startswith("rollback_"):
                return
            previous = (service.previous_spec.get("TaskTemplate") or {}).get("ForceUpdate") or 0
            is_ours = service.force_update == run.previous + 1
            if is_ours and previous == run.previous:
                warnings = self._client.roll_back_service(part.id, service.version, service.spec)
            elif is_ours and run.wakings and run.image_before:  # the previous spec is the update itself by now
                spec = with_update(service, run.image_before, run.previous, run.written_before)
                warnings = self._client.update_service(part.id, service.version, spec)
            else:
                raise EngineRefused("Swarm does not hold what it ran before any more", code="no_way_back")
            self._take_warnings(part, warnings)

        try:
            self._change(part, send)
        except EngineUnreachable:
            raise
        except EngineError as error:
            reason = outcomes.describe_no_way_back(part, error)
            self._report("error", "rollback", reason)
            run.reason = f"{run.reason} {reason}".strip()
            run.code = run.code or error.code
            return
        self._aim_at_return(run)

    def _finish_going_back(self, operation: GoBack) -> None:
        self._check.interruptible = False
        self._report("warning", operation.word, operation.describe())
        runs = [self._run_of(part) for part in (*operation.returning, *operation.parts)]
        self._follower.look_at(runs)
        for run in runs:
            run.was_touched = True
            if reason := outcomes.describe_earlier_failure(run):
                run.fail("update_failed", reason)
        if not any(run.has_failed for run in runs):
            runs[0].fail("update_failed", outcomes.describe_forgotten_failure(runs[0]))
        for part in operation.returning:
            self._aim_at_return(self._run_of(part))
        self._go_back()

    # Scale

    def scale(self) -> Outcome:
        try:
            return self._scale()
        except Cancelled as error:
            return self._withdraw_scale(error)

    def _scale(self) -> Outcome:
        for operation in self.plan.operations:
            self._report("info", operation.word, operation.describe())
            run = self._run_of(operation.part)  # type: ignore[union-attr]
            try:
                if isinstance(operation, Scale):
                    self._send_replicas(run.part, operation.replicas)
                elif isinstance(operation, FollowScale):
                    return self._follow_scale(run, operation)
            except (EngineUnreachable, Cancelled):
                raise
            except EngineError as error:
                return Outcome("failed", error.code, outcomes.describe_refused(run.part, error))
        raise AssertionError("a plan of a scaling ends by following it")

    def _send_replicas(self, part: Part, replicas: int) -> None:
        def send(service: SwarmService) -> None:
            if service.replicas == replicas:
                return
            spec = deepcopy(dict(service.spec))
            spec["Mode"]["Replicated"]["Replicas"] = replicas
            self._take_warnings(part, self._client.update_service(part.id, service.version, spec))

        self._change(part, send)

    def _withdraw_scale(self, error: Cancelled) -> Outcome:
        """The count from before is put back, unless others have changed it since."""
        self._check.interruptible = False
        operation = next(operation for operation in self.plan.operations if isinstance(operation, FollowScale))
        run = self._run_of(operation.part)
        self._follower.look_at([run])
        count = run.look.service.replicas if run.look and run.look.service else None
        if count == operation.before:
            return Outcome("failed", error.code, outcomes.describe_untouched(error.message))
        run.fail(error.code, error.message)
        was_put_back = count == operation.replicas and self._put_back(run, operation.before)
        outcome = outcomes.conclude_scale(self.plan, run, replace(operation, put_back=operation.before), was_put_back)
        return replace(outcome, state="rolled_back") if was_put_back and run.is_well else outcome

    def _follow_scale(self, run: Run, operation: FollowScale) -> Outcome:
        self._check.interruptible = not operation.reason
        self._follow_replicas(run, operation.replicas, operation.is_out)
        if operation.reason:
            run.code, run.reason = "scale_failed", operation.reason
            return outcomes.conclude_scale(self.plan, run, operation, was_put_back=True)
        was_put_back = run.has_failed and run.code not in NOT_OURS and self._put_back(run, operation.put_back)
        return outcomes.conclude_scale(self.plan, run, operation, was_put_back)

    def _put_back(self, run: Run, replicas: int | None) -> bool:
        """Whether the count was put back; None: it is to be left."""
        if replicas is None:
            return False
        self._check.interruptible = False
        self._report("warning", "scale", f"put the wanted tasks of {run.part.full_name} back to {replicas}")
        try:
            self._send_replicas(run.part, replicas)
        except EngineUnreachable:
            raise
        except EngineError as error:
            run.reason = f"{run.reason} {outcomes.describe_no_way_back(run.part, error)}"
            return False
        self._follow_replicas(run, replicas, is_out=False)
        return True

    def _follow_replicas(self, run: Run, replicas: int, is_out: bool) -> None:
        run.aim(ScaleGoal(service=run.part.name, limits=run.part.limits, replicas=replicas, is_out=is_out))
        self._follow([run], stops_at_failure=False)

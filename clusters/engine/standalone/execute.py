"""Execute a standalone plan without decisions of its own. A failure rolls back every step, then the outcome says what runs."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from clusters.engine import names
from clusters.engine.driver import ACTS, Check, Outcome, Progress, Report, ignore_progress
from clusters.engine.errors import Cancelled, EngineError, EngineUnreachable, TargetMissing
from clusters.engine.evidence import Keep, drop_evidence
from clusters.engine.interruption import InterruptibleCheck
from clusters.engine.lanes import Abandoned, Job, LaneRunner
from clusters.engine.operation import Operation
from clusters.engine.retry import retry_unreachable
from clusters.engine.standalone.final_state import FinalState
from clusters.engine.standalone.handlers import OperationHandler
from clusters.engine.standalone.health import NotHealthy
from clusters.engine.standalone.hook_operations import RunOnce
from clusters.engine.standalone.hook_runner import run_once
from clusters.engine.standalone.inspected import RUNNING_STATES
from clusters.engine.standalone.observed import observe_target
from clusters.engine.standalone.outcomes import (
    describe_act_failure,
    describe_act_success,
    describe_rollback,
    describe_success,
    describe_unfinished,
)
from clusters.engine.standalone.plan import Create, Ref, Remove, Rename, StandalonePlan, Start, Together
from clusters.engine.standalone.recovery import recover

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

SETTLE_ATTEMPTS = 3  # somebody else can change what was just looked at


@dataclass
class Journal:
    """The operations that were started, for the rollback: one list for each step."""

    steps: list[list[Operation]] = field(default_factory=list)
    completed: int = 0

    def begin_step(self) -> None:
        self.steps.append([])

    def begin(self, operation: Operation) -> None:
        if self.steps:
            self.steps[-1].append(operation)

    def complete(self) -> None:
        if self.steps:
            self.completed += 1


def execute_plan(
    client: "EngineClient",
    plan: StandalonePlan,
    report: Report,
    check: Check,
    progress: Progress = ignore_progress,
    keep: Keep = drop_evidence,
) -> Outcome:
    """See driver.EngineDriver.execute. The events already show the progress, so that `progress` is not called."""
    return StandaloneExecution(client, plan, report, check, keep).run()


class StandaloneExecution:
    """One run of a plan: the order of its operations, the rollback and the outcome."""

    def __init__(self, client: "EngineClient", plan: StandalonePlan, report: Report, check: Check, keep: Keep) -> None:
        self.plan = plan
        self.client = client
        self._check = InterruptibleCheck(check, interruptible=False)
        self._lanes = LaneRunner(client, report, self._check)
        self._report = report
        self._handler = OperationHandler(self._lanes, keep)
        self._journal = Journal()
        self._open_hooks = [hook for hook in plan.hooks if isinstance(hook, RunOnce)]
        self._is_disturbed = False  # somebody else has started what is to be removed
        self._failed: Operation | None = None  # the first that failed, by the engine's or the container's fault

    def run(self) -> Outcome:
        for note in self.plan.notes:
            self._report("info", "plan", note)
        for warning in self.plan.warnings:
            self._report("warning", "plan", warning)
        try:
            self._wait_for_ends()
            self._run_all(self.plan.recovery)
            self._check.interruptible = True
            self._run_all(self.plan.pulls, may_leave=True)
            self._run_hooks()
        except EngineUnreachable:
            raise
        except EngineError as error:
            self._check.interruptible = False
            self._clean_up([operation for hook in self._open_hooks for operation in hook.undo])
            return self._conclude_unfinished(error)
        try:
            for step in self.plan.steps:
                self._journal.begin_step()
                self._run_all(step.operations)
            final = self._read_final_state()
            self._refuse_ended(final)
        except EngineUnreachable:
            raise
        except EngineError as error:
            self._check.interruptible = False
            return self._conclude_act(error) if self.plan.action in ACTS else self._roll_back(error)
        self._check.interruptible = False
        known = [operation for operation in self.plan.cleanup if self._handler.knows_container(operation)]
        self._lanes.run([self._make_cleanup_job(operation) for operation in known])
        self._clean_up(self.plan.leftovers)
        if self._is_disturbed:
            self._settle()
        remarks = self._handler.remarks
        if self.plan.action in ACTS:
            return Outcome("succeeded", "", describe_act_success(self.plan, remarks))
        return Outcome("succeeded", "", describe_success(self.plan, final, self._handler.find_known_id, remarks))

    def _refuse_ended(self, final: FinalState) -> None:
        """Raise NotHealthy if a container that was healthy does not run any more, and keep its evidence."""
        try:
            final.refuse_ended(self._handler.healthy)
        except NotHealthy as error:
            cause = error.message
            self._check.interruptible = False
            self._lanes.run([lambda client: self._handler.keep_ended(client, final, cause)])
            raise

    def _wait_for_ends(self) -> None:
        """A cancelled call waits no longer: its recovery stops what was started."""
        self._check.interruptible = True
        with suppress(Cancelled):
            self._run_all(self.plan.waits)
        self._check.interruptible = False

    def _run_hooks(self) -> None:
        """A worker that takes over continues with a container that still runs. So it is stopped only if the call ends."""
        for hook in list(self._open_hooks):
            self._lanes.run([partial(run_once, self._handler, self._lanes, operation=hook)])
            self._open_hooks.remove(hook)
            self._check.interruptible = False
            self._clean_up(hook.undo[-1:])
            self._check.interruptible = True

    # The plan's own order

    def _run_all(self, operations: Sequence[Operation], may_leave: bool = False) -> None:
        for operation in operations:
            if isinstance(operation, Together):
                lanes = [self._make_job(lane) for lane in operation.lanes]
                self._report("info", "plan", f"{operation.describe()}: {operation.cause}")
                self._lanes.run(lanes, may_leave)
            else:
                self._lanes.run([self._make_job([operation])], may_leave)

    def _make_job(self, operations: Sequence[Operation]) -> Job:
        def work(client: "EngineClient") -> None:
            for operation in operations:
                self._lanes.pause(0)
                self._journal.begin(operation)
                try:
                    self._handler.perform(client, operation)
                except EngineError as error:
                    if not isinstance(error, Abandoned):
                        self._failed = self._failed or operation
                    raise
                self._journal.complete()

        return work

    # The rollback and the end

    def _conclude_unfinished(self, error: EngineError, touched: bool = False) -> Outcome:
        """Conclude without a rollback.

        No redeploy follows a cancelled one to remove an earlier one's leftovers, so they are removed here. They stay if they
        are the only trace of which container's namespaces others have joined.
        """
        if isinstance(error, Cancelled) and not any(has_joins(operation) for operation in self.plan.operations()):
            self._clean_up(self.plan.leftovers)
        running = self._count_running() if touched else None
        return Outcome("failed", error.code, describe_unfinished(self.plan, error.message, touched, running))

    def _conclude_act(self, error: EngineError) -> Outcome:
        """Conclude a failed act. Nothing is rolled back; the message says what runs now."""
        states = [self._read_state(container) for container in self.plan.affected]
        return Outcome("failed", error.code, describe_act_failure(self.plan, error.message, self._failed, states))

    def _read_state(self, container: Ref) -> str:
        """Return the engine's word for the state, `gone` if the container no longer exists."""
        try:
            return str(self.client.inspect_container(self._handler.find_id(container))["State"]["Status"])
        except TargetMissing:
            return "gone"

    def _roll_back(self, error: EngineError) -> Outcome:
        """Roll back the steps in their own order, the operations of each step in reverse."""
        touched = self._journal.completed > 0
        if not touched or not any(operation.undo for step in self._journal.steps for operation in step):
            return self._conclude_unfinished(error, touched)
        self._report("error", "rollback", error.message)
        problems: list[str] = []
        started: list[Ref] = []
        for step in self._journal.steps:
            problems += self._roll_back_step(step, started)
        problems += self._find_not_running(started)
        for problem in problems:
            self._report("error", "rollback", problem)
        if problems:
            self._settle()
        else:
            self._clean_up(self.plan.leftovers)
        final = self._read_final_state()
        replaced = [found for step in self._journal.steps for operation in step if (found := read_replaced(operation))]
        states = [(item.was_running, final.state_of_name(item.base)) for item in replaced]
        is_lost = any(was_running and state not in RUNNING_STATES for was_running, state in states)
        if self.plan.action == "scale" and self.plan.target:
            now = sum(state in RUNNING_STATES for state in final.list_states(self.plan.target))
            is_lost = now < self.plan.replicas - len(self.plan.changes)
        message = describe_rollback(self.plan, error.message, problems, states, final)
        return Outcome("failed" if problems or is_lost else "rolled_back", error.code, message)

    def _settle(self) -> None:
        """Bring what is left under temporary names to an end, as the next plan would: somebody else is at the application."""
        if self.plan.target is None:
            return
        for _ in range(SETTLE_ATTEMPTS):
            try:
                recovered = recover(observe_target(self.client, self.plan.target).containers)
            except EngineUnreachable:
                raise
            except EngineError as error:
                self._report("warning", "rollback", error.message)
                return
            if not (operations := (*recovered.operations, *recovered.leftovers)):
                return
            for operation in operations:  # those after a failed one would remove the traces that the next attempt needs
                if problems := self._try(operation):
                    self._report("warning", "rollback", f"left for later: {problems[0]}")
                    break

    def _roll_back_step(self, step: Sequence[Operation], started: list[Ref]) -> list[str]:
        """Roll back a step in reverse, add the containers that it starts to `started`, and return the problems.

        If a container cannot be started, its successor stays: its name is the only trace that the container ran.
        """
        problems: list[str] = []
        is_restored = True
        for operation in (operation for done in reversed(step) for operation in done.undo):
            is_trace = isinstance(operation, Remove) or (isinstance(operation, Rename) and operation.is_trace)
            found = [] if is_trace and not is_restored else self._try(operation)
            problems += found
            if isinstance(operation, Start):
                started.append(operation.container)
                is_restored = is_restored and not found
        return problems

    def _try(self, operation: Operation) -> list[str]:
        """Perform the operation unless its container was never created. Return the problem, or nothing."""

        def work(client: "EngineClient") -> None:
            self._handler.perform(client, operation)

        if not self._handler.knows_container(operation):
            return []
        try:
            self._lanes.run([work])
        except EngineUnreachable:
            raise
        except EngineError as error:
            return [f"{operation.describe()}: {error.message}"]
        return []

    def _find_not_running(self, containers: Sequence[Ref]) -> list[str]:
        problems = []
        for ref in containers:
            state = self._read_state(ref)
            if state not in RUNNING_STATES:
                problems.append(f"{names.base_name(ref.name)} {'no longer exists' if state == 'gone' else f'is {state}'}")
        return problems

    def _clean_up(self, operations: Sequence[Operation]) -> None:
        """Remove leftovers. A failure does not matter here: the next plan's recovery removes what stays."""
        for operation in operations:
            for problem in self._try(operation):
                self._report("warning", "remove", f"left for later: {problem}")

    def _make_cleanup_job(self, operation: Operation) -> Job:
        """Make a job that does the same as _clean_up, for operations that can run side by side."""

        def work(client: "EngineClient") -> None:
            try:
                self._handler.perform(client, operation)
            except (EngineUnreachable, Abandoned):
                raise
            except EngineError as error:
                self._is_disturbed = self._is_disturbed or error.code == "conflict"
                self._lanes.report("warning", "remove", f"left for later: {operation.describe()}: {error.message}")

        return work

    def _read_final_state(self) -> FinalState:
        """Ask the engine, through short outages. Raises EngineError."""

        def warn(text: str) -> None:
            self._report("warning", "observe", text)

        return retry_unreachable(lambda attempt: FinalState.read(self.client), warn, self._wait)

    def _wait(self, seconds: float) -> None:
        self._check()
        time.sleep(seconds)

    def _count_running(self) -> int | None:
        """Return how many of the target's containers run; None if the engine does not say."""
        with suppress(EngineError):
            return self._read_final_state().list_states(self.plan.target).count("running") if self.plan.target else None
        return None


def read_replaced(operation: Operation) -> names.TemporaryName | None:
    """Return which container the operation creates a replacement for; None for any other operation."""
    temporary = names.parse_temporary_name(operation.name) if isinstance(operation, Create) else None
    return temporary if temporary and temporary.role == "new" else None


def has_joins(operation: Operation) -> bool:
    if isinstance(operation, Together):
        return any(has_joins(inner) for lane in operation.lanes for inner in lane)
    return isinstance(operation, Create) and bool(operation.joins)

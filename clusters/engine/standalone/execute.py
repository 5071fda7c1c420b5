"""Carries out a plan and decides nothing. A failure takes every step back; then the outcome says what is there now."""

import time
from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clusters.engine import names
from clusters.engine.driver import ACTS, Check, Outcome, Report
from clusters.engine.errors import (
    Cancelled,
    EngineError,
    EngineRefused,
    EngineUnreachable,
    PullFailed,
    TargetMissing,
)
from clusters.engine.interruption import InterruptibleCheck
from clusters.engine.lanes import Abandoned, LaneRunner
from clusters.engine.operation import Operation
from clusters.engine.references import share_digest, shorten
from clusters.engine.retry import retry_unreachable
from clusters.engine.standalone.health import NotWell, Watched, watch_containers
from clusters.engine.standalone.outcomes import (
    describe_act,
    describe_act_failure,
    describe_failure,
    describe_rollback,
    describe_success,
)
from clusters.engine.standalone.plan import (
    Connect,
    Create,
    Disconnect,
    EnginePlan,
    Pull,
    Ref,
    Remove,
    RemoveNetwork,
    RemoveVolume,
    Rename,
    Restart,
    SetRestartPolicy,
    Start,
    Stop,
    Together,
    Watch,
)
from clusters.engine.wording import cut

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

VANISH_SECONDS = 30.0  # the engine's own removal after a stop (AutoRemove)
POLICY_ATTEMPTS = 10  # each 0.2 s after the last
LOG_LINES = 5
RUNNING = {"running", "paused", "restarting"}


@dataclass
class Journal:
    """The operations that were begun, for the way back: a list for each step."""

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


def execute_plan(client: "EngineClient", plan: EnginePlan, report: Report, check: Check) -> Outcome:
    """See driver.Driver.execute."""
    return Execution(client, plan, report, check).run()


class Execution:
    def __init__(self, client: "EngineClient", plan: EnginePlan, report: Report, check: Check) -> None:
        self.plan = plan
        self.client = client
        self._check = InterruptibleCheck(check, interruptible=False)
        self._lanes = LaneRunner(client, report, self._check)
        self._report = report
        self._ids: dict[str, str] = {}  # of the containers created here, by the name they were created under
        self._image_ids: dict[str, str] = {}  # what they run, by the same
        self._journal = Journal()
        self._failed: Operation | None = None  # the first that the engine, or the container, did not let through
        self._asides: list[str] = []  # what the outcome of an act has to say besides

    def run(self) -> Outcome:
        for note in self.plan.notes:
            self._report("info", "plan", note)
        for warning in self.plan.warnings:
            self._report("warning", "plan", warning)
        try:
            self._run_all(self.plan.recovery)
            self._check.interruptible = True
            self._run_all(self.plan.pulls, may_leave=True)
        except EngineUnreachable:
            raise
        except EngineError as error:
            self._check.interruptible = False
            return self._conclude_untouched(error)
        try:
            for step in self.plan.steps:
                self._journal.begin_step()
                self._run_all(step.operations)
        except EngineUnreachable:
            raise
        except EngineError as error:
            self._check.interruptible = False
            return self._conclude_act(error) if self.plan.action in ACTS else self._take_back(error)
        self._check.interruptible = False
        self._lanes.run([self._make_removal(operation) for operation in self.plan.cleanup if self._is_known(operation)])
        self._clean_up(self.plan.leftovers)
        if self.plan.action in ACTS:
            return Outcome("succeeded", "", describe_act(self.plan, self._asides))
        return Outcome("succeeded", "", describe_success(self.plan, self._read_images()))

    # The way forward

    def _run_all(self, operations: Sequence[Operation], may_leave: bool = False) -> None:
        for operation in operations:
            if isinstance(operation, Together):
                lanes = [self._make_job(lane) for lane in operation.lanes]
                self._report("info", "plan", f"{operation.describe()}: {operation.cause}")
                self._lanes.run(lanes, may_leave)
            else:
                self._lanes.run([self._make_job([operation])], may_leave)

    def _make_job(self, operations: Sequence[Operation]) -> Any:
        def work(client: "EngineClient") -> None:
            for operation in operations:
                self._lanes.pause(0)
                self._journal.begin(operation)
                try:
                    self._perform(client, operation)
                except EngineError as error:
                    if not isinstance(error, Abandoned):
                        self._failed = self._failed or operation
                    raise
                self._journal.complete()

        return work

    def _perform(self, client: "EngineClient", operation: Operation) -> None:
        self._lanes.report("info", operation.word, operation.describe())

        def request(attempt: int) -> None:
            self._apply(client, operation, is_repeated=attempt > 0)

        def warn(text: str) -> None:
            self._lanes.report("warning", operation.word, text)

        retry_unreachable(request, warn, self._lanes.pause)

    def _apply(self, client: "EngineClient", operation: Operation, is_repeated: bool) -> None:
        """`is_repeated`: the request may have got through although its answer was lost."""
        match operation:
            case Pull():
                self._pull(client, operation)
            case Create():
                self._create(client, operation, is_repeated)
            case Connect():
                self._connect(client, operation, is_repeated)
            case Disconnect():
                with suppress(TargetMissing):
                    client.disconnect_network(operation.network, self._id_of(operation.container))
            case Start():
                client.start_container(self._id_of(operation.container))
            case Stop():
                self._stop(client, operation)
            case Restart():
                client.restart_container(self._id_of(operation.container), operation.grace)
            case Watch():
                self._watch(client, operation)
            case Rename():
                self._rename(client, operation)
            case Remove():
                self._remove(client, operation)
            case RemoveVolume():
                self._remove_volume(client, operation)
            case RemoveNetwork():
                self._remove_network(client, operation)
            case SetRestartPolicy():
                self._set_restart_policy(client, operation)
            case _:
                raise NotImplementedError(type(operation).__name__)

    def _id_of(self, container: Ref) -> str:
        if container.id or container.name in self._ids:
            return container.id or self._ids[container.name]
        raise TargetMissing(f"{container.name} was not created.")

    def _pull(self, client: "EngineClient", operation: Pull) -> None:
        before = self._find_image(client, operation.reference)
        try:
            client.pull_image(operation.reference, on_progress=lambda: self._lanes.pause(0))
        except PullFailed as error:
            if not (operation.optional and error.code in {"pull_not_found", "pull_unauthorized"}):
                raise
            self._lanes.report("warning", "pull", f"{error.message} The image on this engine is used.")
            return
        after = client.inspect_image(operation.reference)
        same = before and (before["Id"] == after["Id"] or share_digest(before["RepoDigests"] or [], after["RepoDigests"] or []))
        news = "is as before" if same else "is new"
        self._lanes.report("info", "pull", f"{operation.reference} {news}: {shorten(after['Id'])}")

    def _find_image(self, client: "EngineClient", reference: str) -> dict[str, Any] | None:
        with suppress(TargetMissing):
            return client.inspect_image(reference)
        return None

    def _create(self, client: "EngineClient", operation: Create, is_repeated: bool) -> None:
        config = deepcopy(dict(operation.config))
        for mode, parent in operation.joins:
            config["HostConfig"][mode] = f"container:{self._id_of(parent)}"
        if operation.follows_image:
            config["Labels"][names.COMPOSE_IMAGE_LABEL] = client.inspect_image(config["Image"])["Id"]
        try:
            self._ids[operation.name] = client.create_container(operation.name, config)
        except EngineRefused as error:
            if not (is_repeated and error.code == "conflict"):
                raise
            self._ids[operation.name] = client.inspect_container(operation.name)["Id"]

    def _connect(self, client: "EngineClient", operation: Connect, is_repeated: bool) -> None:
        try:
            client.connect_network(operation.network, self._id_of(operation.container), operation.endpoint)
        except EngineRefused as error:
            if not (is_repeated and "already exists" in error.message):
                raise

    def _stop(self, client: "EngineClient", operation: Stop) -> None:
        container = self._id_of(operation.container)
        try:
            client.stop_container(container, operation.grace)
        except TargetMissing:
            self._lanes.report("warning", "stop", f"{operation.container} is already gone")
        if operation.vanishes:
            self._wait_until_gone(client, operation.container, container)

    def _wait_until_gone(self, client: "EngineClient", ref: Ref, container: str) -> None:
        give_up_at = time.monotonic() + VANISH_SECONDS
        with suppress(TargetMissing):
            while time.monotonic() < give_up_at:
                client.inspect_container(container)
                self._lanes.pause(0.1)
            raise EngineRefused(f"{ref} stopped, but the engine does not remove it.")

    def _watch(self, client: "EngineClient", operation: Watch) -> None:
        watched = [
            Watched(self._id_of(ref), names.base_name(ref.name), may_end=operation.may_end) for ref in operation.containers
        ]
        try:
            watch_containers(client, watched, operation.monitor, self._lanes.pause)
        except NotWell as error:
            self._report_logs(client, [item for item in watched if error.message.startswith(f"{item.name} ")])
            raise
        for ref, item in zip(operation.containers, watched, strict=True):
            self._image_ids[ref.name] = item.image_id
            if item.has_ended:
                self._asides.append(f"{item.name} has done its work and ended (exit code 0).")
        self._lanes.report("info", "watch", f"{', '.join(item.name for item in watched)}: well")

    def _report_logs(self, client: "EngineClient", failed: Sequence[Watched]) -> None:
        """What the container itself said; not every logging driver can be read."""
        for item in failed[:1]:
            with suppress(EngineError):
                if text := client.container_logs(item.container_id, tail=LOG_LINES).strip():
                    self._lanes.report("warning", "watch", f"the last output of {item.name}: {cut(text)}")

    def _rename(self, client: "EngineClient", operation: Rename) -> None:
        container = self._id_of(operation.container)
        try:
            client.rename_container(container, operation.name)
        except EngineRefused:
            if client.inspect_container(container)["Name"].lstrip("/") != operation.name:
                raise

    def _remove(self, client: "EngineClient", operation: Remove) -> None:
        container = self._id_of(operation.container)
        try:
            client.remove_container(container, volumes=operation.volumes)
        except TargetMissing:
            return
        except EngineRefused as error:
            if "already in progress" in error.message:
                self._wait_until_gone(client, operation.container, container)
            elif not (operation.unless_running and client.inspect_container(container)["State"]["Status"] in RUNNING):
                raise

    def _remove_volume(self, client: "EngineClient", operation: RemoveVolume) -> None:
        try:
            client.remove_volume(operation.volume)
        except TargetMissing:
            return
        except EngineRefused as error:
            self._lanes.report("warning", "remove", f"the volume {operation.volume[:12]} stays: {cut(error.message)}")

    def _remove_network(self, client: "EngineClient", operation: RemoveNetwork) -> None:
        try:
            client.remove_network(operation.network)
        except TargetMissing:
            return
        except EngineRefused as error:
            self._asides.append(f"The network {operation.name} stays: it is in use.")
            self._lanes.report("warning", "remove", f"the network {operation.name} stays: {cut(error.message)}")

    def _set_restart_policy(self, client: "EngineClient", operation: SetRestartPolicy) -> None:
        """A container in a crash loop whose process ends in this very moment refuses: it is asked again."""
        for attempt in range(POLICY_ATTEMPTS):
            try:
                client.update_restart_policy(self._id_of(operation.container), operation.policy)
                return
            except EngineRefused:
                if attempt == POLICY_ATTEMPTS - 1:
                    raise
                self._lanes.pause(0.2)

    # The way back, and the end

    def _conclude_untouched(self, error: EngineError, touched: bool = False) -> Outcome:
        """Who cancels asks for no redeploy after it that would do away with an earlier one's leftovers. They stay where they
        are the only trace of whose namespaces others have joined."""
        if isinstance(error, Cancelled) and not any(has_joins(operation) for operation in self.plan.operations()):
            self._clean_up(self.plan.leftovers)
        return Outcome("failed", error.code, describe_failure(self.plan, error.message, touched))

    def _conclude_act(self, error: EngineError) -> Outcome:
        """Nothing is taken back: it says what there is now."""
        states = [self._read_state(container) for container in self.plan.affected]
        return Outcome("failed", error.code, describe_act_failure(self.plan, error.message, self._failed, states))

    def _read_state(self, container: Ref) -> str:
        try:
            return str(self.client.inspect_container(self._id_of(container))["State"]["Status"])
        except TargetMissing:
            return "gone"

    def _take_back(self, error: EngineError) -> Outcome:
        """Steps in their own order, each step's operations backwards."""
        touched = self._journal.completed > 0
        if not touched or not any(operation.undo for step in self._journal.steps for operation in step):
            return self._conclude_untouched(error, touched)
        self._report("error", "rollback", error.message)
        problems: list[str] = []
        started: list[Ref] = []
        for step in self._journal.steps:
            for done in reversed(step):
                for operation in done.undo:
                    problems += self._undo(operation)
                    if isinstance(operation, Start):
                        started.append(operation.container)
        problems += self._find_not_running(started)
        for problem in problems:
            self._report("error", "rollback", problem)
        if not problems:
            self._clean_up(self.plan.leftovers)
        state = "failed" if problems else "rolled_back"
        replaced = sum(is_successor(operation) for step in self._journal.steps for operation in step)
        return Outcome(state, error.code, describe_rollback(self.plan, error.message, problems, replaced))  # type: ignore[arg-type]

    def _undo(self, operation: Operation) -> list[str]:
        """The problems it met. What was never created, or is gone, need not go."""

        def work(client: "EngineClient") -> None:
            self._perform(client, operation)

        if not self._is_known(operation):
            return []
        try:
            self._lanes.run([work])
        except EngineUnreachable:
            raise
        except EngineError as error:
            return [f"{operation.describe()}: {error.message}"]
        return []

    def _is_known(self, operation: Operation) -> bool:
        container = getattr(operation, "container", None)
        return not isinstance(container, Ref) or bool(container.id) or container.name in self._ids

    def _find_not_running(self, containers: Sequence[Ref]) -> list[str]:
        problems = []
        for ref in containers:
            state = self._read_state(ref)
            if state not in RUNNING:
                problems.append(f"{names.base_name(ref.name)} is {state}")
        return problems

    def _clean_up(self, operations: Sequence[Operation]) -> None:
        """All is well by now: what cannot be removed is left to the next plan's recovery."""
        for operation in operations:
            for problem in self._undo(operation):
                self._report("warning", "remove", f"left for later: {problem}")

    def _make_removal(self, operation: Operation) -> Any:
        """As _clean_up, for what may be done side by side."""

        def work(client: "EngineClient") -> None:
            try:
                self._perform(client, operation)
            except (EngineUnreachable, Abandoned):
                raise
            except EngineError as error:
                self._lanes.report("warning", "remove", f"left for later: {operation.describe()}: {error.message}")

        return work

    def _read_images(self) -> dict[str, str]:
        for change in self.plan.changes:
            if change.container.name not in self._image_ids:
                with suppress(EngineError):
                    self._image_ids[change.container.name] = self.client.inspect_container(self._id_of(change.container))[
                        "Image"
                    ]
        return self._image_ids


def is_successor(operation: Operation) -> bool:
    temporary = names.parse_temporary_name(operation.name) if isinstance(operation, Create) else None
    return temporary is not None and temporary.role == "new"


def has_joins(operation: Operation) -> bool:
    if isinstance(operation, Together):
        return any(has_joins(inner) for lane in operation.lanes for inner in lane)
    return isinstance(operation, Create) and bool(operation.joins)

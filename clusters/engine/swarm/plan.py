"""The operations of a Swarm's plan. Swarm does the rolling: an update is one request, and the rest is following it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from clusters.engine.hooks import Check
from clusters.engine.operation import Operation
from clusters.engine.swarm.goals import Patience
from clusters.engine.swarm.image_references import shorten_image
from clusters.engine.swarm.observed import StackObject
from clusters.engine.swarm.rules import FollowLimits
from clusters.engine.swarm.task_wording import count_running_tasks, count_tasks
from clusters.engine.wording import cut

Remedy = Literal["swarm", "rollback", "leave"]
REMEDIES: dict[Remedy, str] = {
    "swarm": "Swarm rolls back by itself",
    "rollback": "roll back",
    "leave": "leave it as it is",
}


@dataclass(frozen=True, kw_only=True)
class PlannedService:
    """A service as the plan found it.

    `reference` is the image to run: its tag or, where the image must stay the same, the image in the spec. `wanted` is the
    number of tasks, None where the nodes decide it. `remedy` is what follows a failure. `previous_force_update` and
    `earlier_update` are its ForceUpdate and UpdateStatus.StartedAt before the call. `replaces` is the reference that the
    update changes permanently, where the call names a tag or returns to an image of another one. `pinned` is the image to send
    instead of resolving the reference.
    """

    name: str
    full_name: str
    id: str
    reference: str
    previous_force_update: int
    earlier_update: str
    wanted: int | None
    is_job: bool
    limits: FollowLimits
    remedy: Remedy
    patience: Patience | None  # see UpdateGoal
    replaces: str = ""
    pinned: str = ""

    def describe_following(self) -> str:
        """Return how far the service is followed: `web until 2 tasks run the update and stay up for 5 s; on failure …`."""
        if self.is_job:
            completed = "it has" if self.wanted is None else f"{count_tasks(self.wanted)} have"
            return f"{self.full_name} until {completed} completed; {self._failing}"
        if self.wanted == 0:
            return f"{self.full_name}, which has no replicas"
        tasks = "its tasks run" if self.wanted is None else count_running_tasks(self.wanted)
        return f"{self.full_name} until {tasks} the update and stay up for {self.limits.monitor:g} s; {self._failing}"

    @property
    def _failing(self) -> str:
        return f"on failure {REMEDIES[self.remedy]}"


@dataclass(frozen=True, kw_only=True)
class Resolve(Operation):
    """Resolve an image reference to its digest.

    `pinned` means that a service already has a digest of it, so that the registry did know it. `required` means that nothing
    is updated without the digest.
    """

    word = "resolve"
    reference: str
    pinned: bool
    required: bool = False

    def describe(self) -> str:
        return f"resolve the digest of {cut(self.reference)}"


@dataclass(frozen=True, kw_only=True)
class RunJob(Operation):
    """Run a job of one task to its end, which has to be a success, and remove it.

    `spec` is that of POST /services/create without the image, which `reference` resolves to. `what` names the job in sentences.
    `code`: the reason where it fails. `done`: the sentence that reports its success, if it must not be run again. `check`: what
    it asks, where it asks. `timeout` is in seconds.
    """

    word = "predeploy"
    kind: Literal["predeploy", "check"]
    service: str  # its name
    reference: str
    spec: Mapping[str, Any] = field(repr=False)
    what: str
    shown: str
    code: str
    timeout: float
    done: str = ""
    check: Check | None = None

    def describe(self) -> str:
        return self.shown


@dataclass(frozen=True, kw_only=True)
class Update(Operation):
    """Update a service; `restarts` means to the image that it already has."""

    word = "update"
    service: PlannedService
    restarts: bool = False

    def describe(self) -> str:
        if self.restarts:
            return f"restart the tasks of {self.service.full_name}"
        return f"update {self.service.full_name} to {cut(shorten_image(self.service.pinned) or self.service.reference)}"


@dataclass(frozen=True, kw_only=True)
class Follow(Operation):
    """Follow the services side by side until each has reached its end."""

    word = "follow"
    services: tuple[PlannedService, ...]

    def describe(self) -> str:
        if len(self.services) == 1:
            return f"follow {self.services[0].describe_following()}"
        return f"follow {len(self.services)} services side by side"

    def describe_lanes(self) -> Iterator[str]:
        if len(self.services) > 1:
            yield from (service.describe_following() for service in self.services)


@dataclass(frozen=True, kw_only=True)
class FinishRollback(Operation):
    """Finish what an earlier attempt began: `updated` services still have the update, `rolling_back` are under way."""

    word = "rollback"
    updated: tuple[PlannedService, ...]
    rolling_back: tuple[PlannedService, ...]

    def describe(self) -> str:
        return f"finish the rollback of {', '.join(service.full_name for service in (*self.rolling_back, *self.updated))}"


@dataclass(frozen=True, kw_only=True)
class Scale(Operation):
    word = "scale"
    service: PlannedService
    replicas: int

    def describe(self) -> str:
        return f"set the replicas of {self.service.full_name} to {self.replicas}"


@dataclass(frozen=True, kw_only=True)
class FollowScale(Operation):
    """Follow a service until `replicas` of its tasks run.

    `before` is the count before the call, and `restore` the count to set again on failure, None to leave it. `reason` is set
    when an earlier attempt failed and has already restored the count.
    """

    word = "follow"
    service: PlannedService
    before: int
    replicas: int
    is_out: bool
    restore: int | None
    reason: str = ""

    def describe(self) -> str:
        tasks = count_running_tasks(self.replicas)
        if self.reason:
            return f"follow {self.service.full_name} until {tasks} again"
        end = f" and stay up for {self.service.limits.monitor:g} s" if self.is_out else " and the others have ended"
        remedy = f"set the replicas back to {self.restore}" if self.restore is not None else REMEDIES["leave"]
        return f"follow {self.service.full_name} until {tasks}{end}; on failure {remedy}"


@dataclass(frozen=True, kw_only=True)
class RemoveService(Operation):
    word = "remove"
    service: str  # its id
    full_name: str

    def describe(self) -> str:
        return f"remove the service {self.full_name}"


@dataclass(frozen=True, kw_only=True)
class AwaitEnd(Operation):
    """Wait until no task of the removed services is left.

    `filters` are those of the list of tasks, which can contain others too. `silent` is the number of seconds after which the
    wait is given up if nothing changes.
    """

    word = "follow"
    subject: str
    services: frozenset[str]  # ids
    filters: Mapping[str, list[str]] = field(repr=False)
    silent: float

    def describe(self) -> str:
        return f"follow the tasks of {self.subject} until all have ended"


@dataclass(frozen=True, kw_only=True)
class RemoveStackObject(Operation):
    word = "remove"
    stack_object: StackObject

    def describe(self) -> str:
        return f"remove the {self.stack_object.kind} {self.stack_object.name} unless it is used elsewhere"


AnyOperation = (
    Resolve | RunJob | Update | Follow | FinishRollback | Scale | FollowScale | RemoveService | AwaitEnd | RemoveStackObject
)


@dataclass(frozen=True)
class SwarmPlan:
    """Implements driver.Plan.

    `rolls_back` means that a failure of one service rolls all of them back. `not_started` are the services that a plan which
    resumes an earlier attempt no longer updates.
    """

    title: str
    subject: str
    action: Literal["redeploy", "scale", "restart", "delete"]
    operations: tuple[AnyOperation, ...]
    rolls_back: bool
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    not_started: tuple[str, ...] = ()

    def is_empty(self) -> bool:
        return not self.operations

    def as_text(self) -> str:
        lines = [self.title, *(f"note: {note}" for note in self.notes), *(f"warning: {text}" for text in self.warnings)]
        for number, operation in enumerate(self.operations, 1):
            lines.append(f"{number}. {operation.describe()} ({operation.cause})")
            if isinstance(operation, Follow):
                lines += [f"   - {lane}" for lane in operation.describe_lanes()]
        return "\n".join(lines) + "\n"

"""Operations of a Swarm's plan. Swarm does the rolling: an update is one request, and the rest is following it to its end."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from clusters.engine.operation import Operation
from clusters.engine.swarm.observed import Belonging
from clusters.engine.swarm.progress import Patience
from clusters.engine.swarm.rules import Limits
from clusters.engine.swarm.wording import count_tasks
from clusters.engine.wording import cut

Remedy = Literal["swarm", "back", "leave"]
REMEDIES: dict[Remedy, str] = {"swarm": "Swarm goes back by itself", "back": "go back", "leave": "leave it as it is"}


@dataclass(frozen=True, kw_only=True)
class Part:
    """A service as the plan found it. `reference`: the image to run, by its tag or, where that is to stay, as the spec has it.
    `wanted`: its tasks, None where the nodes decide. `remedy`: what follows a failure.
    `previous` and `stale`: its ForceUpdate and UpdateStatus.StartedAt from before the call.
    `replaces`: the reference that the update changes for good, where a tag was asked for."""

    name: str
    full_name: str
    id: str
    reference: str
    previous: int
    stale: str
    wanted: int | None
    is_job: bool
    limits: Limits
    remedy: Remedy
    patience: Patience | None  # as UpdateGoal has it
    replaces: str = ""

    def describe_end(self) -> str:
        if self.is_job:
            return f"until {'it has' if self.wanted is None else f'{count_tasks(self.wanted)} have'} completed; {self._failing}"
        if self.wanted == 0:
            return "which has no replicas"
        tasks = (
            "its tasks run" if self.wanted is None else f"{count_tasks(self.wanted)} {'runs' if self.wanted == 1 else 'run'}"
        )
        return f"until {tasks} the update and stay for {self.limits.monitor:g} s; {self._failing}"

    @property
    def _failing(self) -> str:
        return f"on failure {REMEDIES[self.remedy]}"


@dataclass(frozen=True, kw_only=True)
class Resolve(Operation):
    """`pinned`: a service has a digest of it by now, so that the registry did know it. `required`: without one nothing is
    updated."""

    word = "resolve"
    reference: str
    pinned: bool
    required: bool = False

    def describe(self) -> str:
        return f"ask for the digest of {cut(self.reference)}"


@dataclass(frozen=True, kw_only=True)
class Update(Operation):
    """`restarts`: to the very image that it has."""

    word = "update"
    part: Part
    restarts: bool = False

    def describe(self) -> str:
        if self.restarts:
            return f"start the tasks of {self.part.full_name} anew"
        return f"update {self.part.full_name} to {cut(self.part.reference)}"


@dataclass(frozen=True, kw_only=True)
class Follow(Operation):
    """Until each part has come to its end, side by side."""

    word = "follow"
    parts: tuple[Part, ...]

    def describe(self) -> str:
        if len(self.parts) == 1:
            return f"follow {self.parts[0].full_name} {self.parts[0].describe_end()}"
        return f"follow {len(self.parts)} services side by side"

    def describe_lanes(self) -> Iterator[str]:
        if len(self.parts) > 1:
            yield from (f"{part.full_name} {part.describe_end()}" for part in self.parts)


@dataclass(frozen=True, kw_only=True)
class GoBack(Operation):
    """`parts` still have the update; `returning` are on their way back already."""

    word = "rollback"
    parts: tuple[Part, ...]
    returning: tuple[Part, ...]

    def describe(self) -> str:
        return f"finish going back with {', '.join(part.full_name for part in (*self.returning, *self.parts))}"


@dataclass(frozen=True, kw_only=True)
class Scale(Operation):
    word = "scale"
    part: Part
    replicas: int

    def describe(self) -> str:
        return f"set the wanted tasks of {self.part.full_name} to {self.replicas}"


@dataclass(frozen=True, kw_only=True)
class FollowScale(Operation):
    """`before`: the count from before the call. `put_back`: that to go back to on failure. `reason`: it failed before and was
    put back already."""

    word = "follow"
    part: Part
    before: int
    replicas: int
    is_out: bool
    put_back: int | None
    reason: str = ""

    def describe(self) -> str:
        tasks = f"{count_tasks(self.replicas)} {'runs' if self.replicas == 1 else 'run'}"
        if self.reason:
            return f"follow {self.part.full_name} until {tasks} again"
        end = f" and stay for {self.part.limits.monitor:g} s" if self.is_out else " and the others have ended"
        back = f"on failure put back {self.put_back}" if self.put_back is not None else "on failure leave it as it is"
        return f"follow {self.part.full_name} until {tasks}{end}; {back}"


@dataclass(frozen=True, kw_only=True)
class RemoveService(Operation):
    word = "remove"
    service: str  # its id
    full_name: str

    def describe(self) -> str:
        return f"remove the service {self.full_name}"


@dataclass(frozen=True, kw_only=True)
class AwaitEnd(Operation):
    """Until no task of the removed services is left. `filters`: of the list of tasks, which may hold others too. `silent`:
    seconds in which nothing may change."""

    word = "follow"
    subject: str
    services: frozenset[str]  # ids
    filters: Mapping[str, list[str]] = field(repr=False)
    silent: float

    def describe(self) -> str:
        return f"follow the tasks of {self.subject} until all have ended"


@dataclass(frozen=True, kw_only=True)
class RemoveBelonging(Operation):
    word = "remove"
    belonging: Belonging

    def describe(self) -> str:
        return f"remove the {self.belonging.kind} {self.belonging.name} unless it is used elsewhere"


AnyOperation = Resolve | Update | Follow | GoBack | Scale | FollowScale | RemoveService | AwaitEnd | RemoveBelonging


@dataclass(frozen=True)
class SwarmPlan:
    """Implements driver.Plan. `goes_back`: a failure of one service takes all of them back. `unbegun`: services that a plan
    which goes on with an earlier attempt does not begin any more."""

    title: str
    subject: str
    action: Literal["redeploy", "scale", "restart", "delete"]
    operations: tuple[AnyOperation, ...]
    goes_back: bool
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    unbegun: tuple[str, ...] = ()

    def is_empty(self) -> bool:
        return not self.operations

    def as_text(self) -> str:
        lines = [self.title, *(f"note: {note}" for note in self.notes), *(f"warning: {text}" for text in self.warnings)]
        for number, operation in enumerate(self.operations, 1):
            lines.append(f"{number}. {operation.describe()} ({operation.cause})")
            if isinstance(operation, Follow):
                lines += [f"   - {lane}" for lane in operation.describe_lanes()]
        return "\n".join(lines) + "\n"

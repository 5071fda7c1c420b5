"""A standalone plan and its operations. Each operation is one engine request, with its cause and its rollback."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clusters.engine.driver import Target
from clusters.engine.names import base_name
from clusters.engine.operation import Operation
from clusters.engine.references import shorten_image_id
from clusters.engine.wording import cut


@dataclass(frozen=True)
class Ref:
    """A reference to a container: its id, or if that is empty, the name under which the same plan creates it earlier."""

    name: str
    id: str = ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, kw_only=True)
class Pull(Operation):
    """`optional`: the image exists on this engine, so a registry that does not have it is not an error. `if_missing`: only if
    the engine does not have it.

    `platform`: request this one; empty for the engine's own. `expected`: the platform that the image must have, if known.
    """

    word = "pull"
    reference: str
    optional: bool = False
    if_missing: bool = False
    platform: str = ""
    expected: str = ""

    def describe(self) -> str:
        platform = f" for {self.platform}" if self.platform else ""
        condition = " if a registry has it" if self.optional else " if the engine does not have it" if self.if_missing else ""
        return f"pull {self.reference}{platform}{condition}"


@dataclass(frozen=True, kw_only=True)
class Refuse(Operation):
    """End the plan after its recovery: what an earlier one left is repaired although this one cannot be done."""

    word = "plan"
    code: str

    def describe(self) -> str:
        return "nothing else is done"


@dataclass(frozen=True, kw_only=True)
class Create(Operation):
    """`joins`: HostConfig modes that become `container:<id>` of a container that the plan creates earlier.

    `follows_image`: set Compose's image label to the id of the image that the container is created from. `platform`: the one
    that the image must have, where the reference can mean another one. `source`: create from the image that the engine knows by
    this id or digest, whatever the reference means by then.
    """

    word = "create"
    name: str
    config: Mapping[str, Any] = field(repr=False)
    joins: tuple[tuple[str, Ref], ...] = ()
    follows_image: bool = False
    platform: str = ""
    source: str = ""

    def describe(self) -> str:
        image = f" ({shorten_image_id(self.source.rpartition('@')[2])})" if self.source else ""
        return f"create {self.name} from {self.config['Image']}{image}"


@dataclass(frozen=True, kw_only=True)
class Connect(Operation):
    word = "connect"
    container: Ref
    network: str
    endpoint: Mapping[str, Any] = field(repr=False)

    def describe(self) -> str:
        return f"connect {self.container} to {self.network}"


@dataclass(frozen=True, kw_only=True)
class Disconnect(Operation):
    word = "connect"
    container: Ref
    network: str

    def describe(self) -> str:
        return f"disconnect {self.container} from {self.network}"


@dataclass(frozen=True, kw_only=True)
class CopyFiles(Operation):
    """Copy `paths` from another container, and `folders` above them where they are missing, with owner and mode."""

    word = "copy"
    container: Ref
    source: Ref
    paths: tuple[str, ...]
    folders: tuple[str, ...] = ()

    def describe(self) -> str:
        shown = ", ".join(cut(path) for path in self.paths[:5])
        more = f" and {len(self.paths) - 5} more" if len(self.paths) > 5 else ""
        return f"copy {shown}{more} from {self.source} into {self.container}"


@dataclass(frozen=True, kw_only=True)
class Start(Operation):
    word = "start"
    container: Ref

    def describe(self) -> str:
        return f"start {self.container}"


@dataclass(frozen=True, kw_only=True)
class Stop(Operation):
    """`grace`: seconds of the container's own stop timeout. `auto_remove`: wait until the engine removes it (AutoRemove)."""

    word = "stop"
    container: Ref
    grace: float
    auto_remove: bool = False

    def describe(self) -> str:
        return f"stop {self.container}{', which removes it' if self.auto_remove else ''}"


@dataclass(frozen=True, kw_only=True)
class Restart(Operation):
    """`grace`: see Stop. `paths`: those of the host that it needs. Without them it could not be started again."""

    word = "restart"
    container: Ref
    grace: float
    paths: tuple[str, ...] = ()

    def describe(self) -> str:
        return f"restart {self.container}"


@dataclass(frozen=True, kw_only=True)
class Watch(Operation):
    """Wait until every container is healthy: its health check says so, or it ran for `monitor` seconds without a restart.

    `may_end`: a container also passes if it exits with code 0 and its restart policy does not start it again. `must_end`: it
    passes only then, whatever time it takes.
    """

    word = "watch"
    containers: tuple[Ref, ...]
    monitor: float
    may_end: bool = False
    must_end: bool = False

    def describe(self) -> str:
        if self.must_end:
            return f"wait until {', '.join(map(str, self.containers))} ends with success"
        return f"watch {', '.join(map(str, self.containers))} until healthy, or for {self.monitor:g} s"


@dataclass(frozen=True, kw_only=True)
class AwaitEnd(Operation):
    """Wait until the container has ended, in whatever way."""

    word = "watch"
    container: Ref

    def describe(self) -> str:
        return f"wait for the end of {self.container}"


@dataclass(frozen=True, kw_only=True)
class Rename(Operation):
    """`if_exists`: the container may have been removed meanwhile. `is_trace`: until then its name shows that it has to run."""

    word = "rename"
    container: Ref
    name: str
    if_exists: bool = False
    is_trace: bool = False

    def describe(self) -> str:
        if self.container.name == self.name:  # a rollback: the container is known by the name that it gets back
            base = base_name(self.name)
            return f"give {base} its {'' if self.name == base else 'temporary '}name back"
        return f"rename {self.container} to {self.name}"


@dataclass(frozen=True, kw_only=True)
class Remove(Operation):
    """`volumes`: also remove its anonymous volumes. `unless_running`: keep the container if it is running."""

    word = "remove"
    container: Ref
    volumes: bool = False
    unless_running: bool = False

    def describe(self) -> str:
        extent = " and its anonymous volumes" if self.volumes else ""
        return f"remove {self.container}{extent}{' unless it is running' if self.unless_running else ''}"


@dataclass(frozen=True, kw_only=True)
class RemoveVolume(Operation):
    word = "remove"
    volume: str

    def describe(self) -> str:
        return f"remove the anonymous volume {self.volume[:12]} unless it is used elsewhere"


@dataclass(frozen=True, kw_only=True)
class RemoveNetwork(Operation):
    """`network` is its id."""

    word = "remove"
    network: str
    name: str

    def describe(self) -> str:
        return f"remove the network {self.name} unless it is used elsewhere"


@dataclass(frozen=True, kw_only=True)
class SetRestartPolicy(Operation):
    word = "update"
    container: Ref
    policy: Mapping[str, Any]

    def describe(self) -> str:
        name, count = self.policy.get("Name") or "no", self.policy.get("MaximumRetryCount") or 0
        if name == "no":
            return f"disable the restart policy of {self.container}"
        return f"set the restart policy of {self.container} to {name}{f':{count}' if count else ''}"


@dataclass(frozen=True, kw_only=True)
class Together(Operation):
    """Lanes of operations. The lanes run side by side, the operations of one lane in order."""

    lanes: tuple[tuple[Operation, ...], ...]

    def describe(self) -> str:
        return f"{len(self.lanes)} side by side"


@dataclass(frozen=True)
class Step:
    """Operations on one container or a few at a time.

    A failure rolls the steps back in the same order, the first step first: containers come back before those that depend on
    them.
    """

    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Change:
    """A container that the plan creates, for the message at its end.

    `reference` is the image to create it from. `stays`: why it is left stopped; empty if it is started.
    """

    service: str
    container: Ref
    reference: str
    stays: str = ""


@dataclass(frozen=True)
class StandalonePlan:
    """Implements driver.Plan.

    The parts run in this order: `waits` let what an unfinished earlier plan started come to its end, and can be cancelled;
    `recovery` repairs what that plan left; `pulls`; `hooks` are one-off containers that have to succeed before anything is
    touched (hook_operations.RunOnce); `steps`; `cleanup` when all containers are healthy; `leftovers` removes the
    rest of the earlier plan, also after the steps were rolled back. `affected`: the containers that an act is about. `target`
    is None only in tests.
    """

    title: str
    subject: str
    action: str
    waits: tuple[AwaitEnd, ...] = ()
    recovery: tuple[Operation, ...] = ()
    pulls: tuple[Pull | Refuse, ...] = ()
    hooks: tuple[Operation, ...] = ()
    steps: tuple[Step, ...] = ()
    cleanup: tuple[Operation, ...] = ()
    leftovers: tuple[Operation, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    replicas: int = 0
    affected: tuple[Ref, ...] = ()
    target: Target | None = None

    def operations(self) -> Iterator[Operation]:
        yield from self.waits
        yield from self.recovery
        yield from self.pulls
        yield from self.hooks
        for step in self.steps:
            yield from step.operations
        yield from self.cleanup
        yield from self.leftovers

    def is_empty(self) -> bool:
        return not any(True for _ in self.operations())

    def as_text(self) -> str:
        lines = [self.title, *(f"note: {note}" for note in self.notes), *(f"warning: {text}" for text in self.warnings)]
        for number, operation in enumerate(self.operations(), 1):
            lines += list_plan_lines(operation, f"{number}. ")
        return "\n".join(lines) + "\n"


def list_plan_lines(operation: Operation, prefix: str) -> Iterator[str]:
    yield f"{prefix}{operation.describe()} ({operation.cause})"
    if isinstance(operation, Together):
        for lane in operation.lanes:
            yield f"   - {'; '.join(inner.describe() for inner in lane)}"


def put_together(lanes: Sequence[Sequence[Operation]], cause: str) -> tuple[Operation, ...]:
    """Return the operations of the lanes, side by side if there is more than one lane."""
    filled = [tuple(lane) for lane in lanes if lane]
    if len(filled) < 2:
        return filled[0] if filled else ()
    return (Together(lanes=tuple(filled), cause=cause),)

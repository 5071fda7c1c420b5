"""Operations of a plain engine's plan: each is one engine request and knows its cause and how it is taken back."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clusters.engine.operation import Operation


@dataclass(frozen=True)
class Ref:
    """A container: by its id, or without one, by the name it is created under earlier in the same plan. Prints as its name."""

    name: str
    id: str = ""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, kw_only=True)
class Pull(Operation):
    """`optional`: an image that exists here and that no registry knows may be missing there."""

    word = "pull"
    reference: str
    optional: bool = False

    def describe(self) -> str:
        return f"pull {self.reference}{' if a registry has it' if self.optional else ''}"


@dataclass(frozen=True, kw_only=True)
class Create(Operation):
    """`joins`: HostConfig modes that become `container:<id>` of a container that is created earlier in the plan.
    `follows_image`: Compose's image label is to tell the id of the image it is made from."""

    word = "create"
    name: str
    config: Mapping[str, Any] = field(repr=False)
    joins: tuple[tuple[str, Ref], ...] = ()
    follows_image: bool = False

    def describe(self) -> str:
        return f"create {self.name} from {self.config['Image']}"


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
class Start(Operation):
    word = "start"
    container: Ref

    def describe(self) -> str:
        return f"start {self.container}"


@dataclass(frozen=True, kw_only=True)
class Stop(Operation):
    """`grace`: seconds its own stop timeout allows. `vanishes`: the engine then removes it (AutoRemove): wait for that."""

    word = "stop"
    container: Ref
    grace: float
    vanishes: bool = False

    def describe(self) -> str:
        return f"stop {self.container}{', which removes it' if self.vanishes else ''}"


@dataclass(frozen=True, kw_only=True)
class Restart(Operation):
    """`grace`: as Stop's."""

    word = "restart"
    container: Ref
    grace: float

    def describe(self) -> str:
        return f"restart {self.container}"


@dataclass(frozen=True, kw_only=True)
class Watch(Operation):
    """Until every container is well: its health check says so, or it ran for `monitor` seconds without a restart. `may_end`:
    one whose restart policy leaves it at that may also end by itself with exit code 0."""

    word = "watch"
    containers: tuple[Ref, ...]
    monitor: float
    may_end: bool = False

    def describe(self) -> str:
        return f"watch {', '.join(map(str, self.containers))} until healthy, or for {self.monitor:g} s"


@dataclass(frozen=True, kw_only=True)
class Rename(Operation):
    word = "rename"
    container: Ref
    name: str

    def describe(self) -> str:
        return f"rename {self.container} to {self.name}"


@dataclass(frozen=True, kw_only=True)
class Remove(Operation):
    """`volumes`: its anonymous volumes too. `unless_running`: it stays when it was needed and runs."""

    word = "remove"
    container: Ref
    volumes: bool = False
    unless_running: bool = False

    def describe(self) -> str:
        extent = " and its anonymous volumes" if self.volumes else ""
        return f"remove {self.container}{extent}{' unless it runs' if self.unless_running else ''}"


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
        count = self.policy.get("MaximumRetryCount") or 0
        return f"set the restart policy of {self.container} to {self.policy.get('Name') or 'no'}{f':{count}' if count else ''}"


@dataclass(frozen=True, kw_only=True)
class Together(Operation):
    """Lanes of operations that run side by side, each lane in order."""

    lanes: tuple[tuple[Operation, ...], ...]

    def describe(self) -> str:
        return f"{len(self.lanes)} side by side"


@dataclass(frozen=True)
class Step:
    """Operations on one container or a few at a time. A failure takes the steps back, first step first: what others
    depend on comes back before them."""

    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Change:
    """What the plan is about, for the sentence at its end: a container by the name it is created under, and its reference."""

    service: str
    container: Ref
    reference: str


@dataclass(frozen=True)
class EnginePlan:
    """`recovery` puts right what an earlier plan left; then `pulls`; then `steps`; `cleanup` when all is well; `leftovers`
    of the earlier plan go at the end, also after the steps were taken back. `affected`: the containers that an act is about."""

    title: str
    subject: str
    action: str
    recovery: tuple[Operation, ...] = ()
    pulls: tuple[Pull, ...] = ()
    steps: tuple[Step, ...] = ()
    cleanup: tuple[Operation, ...] = ()
    leftovers: tuple[Operation, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    replicas: int = 0
    affected: tuple[Ref, ...] = ()

    def operations(self) -> Iterator[Operation]:
        yield from self.recovery
        yield from self.pulls
        for step in self.steps:
            yield from step.operations
        yield from self.cleanup
        yield from self.leftovers

    def is_empty(self) -> bool:
        return not any(True for _ in self.operations())

    def as_text(self) -> str:
        lines = [self.title, *(f"note: {note}" for note in self.notes), *(f"warning: {text}" for text in self.warnings)]
        for number, operation in enumerate(self.operations(), 1):
            lines += describe_lines(operation, f"{number}. ")
        return "\n".join(lines) + "\n"


def describe_lines(operation: Operation, prefix: str) -> Iterator[str]:
    yield f"{prefix}{operation.describe()} ({operation.cause})"
    if isinstance(operation, Together):
        for lane in operation.lanes:
            yield f"   - {'; '.join(inner.describe() for inner in lane)}"


def put_together(lanes: Sequence[Sequence[Operation]], cause: str) -> tuple[Operation, ...]:
    """The lanes' operations, side by side where there is more than one lane."""
    filled = [tuple(lane) for lane in lanes if lane]
    if len(filled) < 2:
        return filled[0] if filled else ()
    return (Together(lanes=tuple(filled), cause=cause),)

"""The interface of a driver: observe reads, plan is pure, and execute makes no decision.

The modules `standalone.driver` (Compose projects and lone containers on a plain engine) and `swarm.driver` implement it. In
tests, `fakes.fake_engine.FakeEngine` stands in for the engine's client below them. Callers such as `triggers.run.runner` know
this module and `drivers`, and nothing below.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar, get_args

from clusters.engine.evidence import Keep, drop_evidence
from clusters.engine.previous_images import PreviousImage
from clusters.engine.snapshot import ContainerSnapshot, Snapshot

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

Level = Literal["info", "warning", "error"]
# The acts on an application or on one of its containers as a whole. Swarm services cannot be stopped or started.
Act = Literal["stop", "start", "restart", "delete"]
ACTS: tuple[Act, ...] = get_args(Act)
# report(level, operation, text): receives each operation as it happens. `operation` is a word such as "pull", "predeploy",
# "create", "copy", "stop", "start", "watch", "check", "rename", "remove", "rollback".
Report = Callable[[Level, str, str], None]
# progress(service, done, wanted): receives how many of the service's containers or tasks already run as the plan wants them.
Progress = Callable[[str, int, int], None]
# check(): called between operations and at least each second while waiting. It raises to make execute stop at a safe step.
# Cancelled and HandOver let the current operation end first. They are raised at each call, and execute ignores both while it
# repairs leftovers, rolls back or cleans up. Any other exception ends execute at once.
Check = Callable[[], None]


@dataclass(frozen=True)
class Target:
    """The target of a call, by names. `source` is an Application.Source; an empty `service` means all services.

    `state_only`: an observation needs the state alone, and not what only a recreate or a clone has to know. `images`: by what
    an engine may know further images that the plan is about (see PreviousImage.sources).
    """

    application: str
    source: str
    service: str = ""
    state_only: bool = False
    images: tuple[str, ...] = ()

    def name_part(self, service: str) -> str:
        """Return `shop/web`, or the name alone for the whole application or an application that is one lone service."""
        return f"{self.application}/{service}" if service not in {"", self.application} else self.application


@dataclass(frozen=True)
class Intent:
    """What a plan needs to know besides the observation.

    `on_failure`: whether a failed change is rolled back or left as it is, where the engine does not decide that itself. A
    standalone plan always rolls back. `before`: the target's snapshot from when the call was first claimed; a call that
    another worker took over reads its progress from it. None means that this is the first attempt. `tag`: the redeploy
    changes the image references to this tag permanently and drops their digests. `stopped`: the containers that the last Stop
    left, by name; a redeploy leaves those stopped that nothing has started since. `call` is the call's own id, by which another
    attempt finds the pre-deploy step that this one has started. `predeployed` are the sentences by which earlier attempts have
    reported such steps as done (hooks.describe_done): these never run again. `returns_to`: the redeploy is about these services
    alone, and gives each the image that it ran before, by id or digest; the reference stays what was configured.
    """

    on_failure: Literal["rollback", "pause"] = "rollback"
    before: Snapshot | None = None
    tag: str = ""
    stopped: Mapping[str, ContainerSnapshot] = field(default_factory=dict)
    call: str = ""
    predeployed: frozenset[str] = frozenset()
    returns_to: Mapping[str, PreviousImage] = field(default_factory=dict)


FIRST_ATTEMPT = Intent()


def ignore_progress(service: str, done: int, wanted: int) -> None:
    """A Progress for callers that show none."""


@dataclass(frozen=True)
class KeepLabel:
    """The label about replaced images, as it is written. `reference` is the image of the service that has it."""

    service: str
    reference: str
    text: str


class Observation(Protocol):
    """The target's state on the engine at one moment, with everything that a plan needs."""

    def current_count(self, service: str) -> int:
        """Return the count that a step starts from.

        On a plain engine these are the service's running containers (leftovers of an unfinished recreate are not counted
        twice), on a Swarm its wanted replicas.
        """

    def list_keep_labels(self) -> Sequence[KeepLabel]:
        """Return what the target's labels say about images that a redeploy replaces (windlass.keep-images)."""

    def snapshot(self) -> Snapshot:
        """Return the form that is kept with a call (see Intent.before)."""


class Plan(Protocol):
    """Operations in order, each with its cause. `as_text()` is stable: tests, the log and the call page show it."""

    def as_text(self) -> str: ...

    def is_empty(self) -> bool:
        """Return whether there is nothing to do, because the target already is as requested."""


@dataclass(frozen=True)
class Outcome:
    """The end of an execution. `message` is one sentence: what happened and what the target is like now."""

    state: Literal["succeeded", "failed", "rolled_back"]
    reason: str = ""
    message: str = ""


@dataclass(frozen=True)
class Losses:
    """What a delete removes, by names, and the named volumes that it keeps.

    `parts` are containers, on a Swarm services. `volumes` are anonymous ones.
    """

    parts: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    kept_volumes: tuple[str, ...] = ()


OwnObservation = TypeVar("OwnObservation")
OwnPlan = TypeVar("OwnPlan")


class EngineDriver(Protocol[OwnObservation, OwnPlan]):
    """A driver with its own types of observation and plan. Pass it only observations and plans that it returned itself."""

    minimum_replicas: int  # the lowest count that a service can be scaled to
    # Whether execute, when Cancelled, also rolls back what an earlier attempt at a scaling or a redeploy did.
    takes_back_earlier: bool

    def observe(self, client: "EngineClient", target: Target, /) -> OwnObservation:
        """Raises TargetMissing, EngineUnreachable, EngineRefused; a Swarm's also NotManager."""

    def observe_remains(self, client: "EngineClient", target: Target, /) -> OwnObservation:
        """Observe the target for a delete.

        A missing target is not an error. The observation includes what is removed along with the application: its own
        networks, a stack's configs and secrets. Raises EngineUnreachable, EngineRefused; a Swarm's also NotManager.
        """

    def read_losses(self, client: "EngineClient", target: Target, container: str = "", /) -> Losses:
        """Return what a delete would remove at this moment, read with a few list requests.

        `container` names the only container to delete; a Swarm ignores it, since a task's container is never deleted alone.
        Raises EngineUnreachable, EngineRefused; a Swarm's also NotManager.
        """

    def plan_redeploy(self, observation: OwnObservation, intent: Intent = FIRST_ATTEMPT, /) -> OwnPlan:
        """Raises PlanRefused."""

    def plan_repair(self, observation: OwnObservation, /) -> OwnPlan:
        """Bring what an unfinished redeploy or scaling left under temporary names to its end, and change nothing else.

        Never refused. Empty on a Swarm, which has no such names.
        """

    def plan_scale(
        self, observation: OwnObservation, service: str, replicas: int, intent: Intent = FIRST_ATTEMPT, /
    ) -> OwnPlan:
        """Bring the service's count to `replicas` (at least `minimum_replicas`). Raises PlanRefused."""

    def plan_act(
        self, observation: OwnObservation, act: Act, container: str = "", intent: Intent = FIRST_ATTEMPT, /
    ) -> OwnPlan:
        """Stop, start, restart or delete the target, or only its container of the given name.

        A delete needs an observation from `observe_remains`. Raises PlanRefused.
        """

    def execute(
        self,
        client: "EngineClient",
        plan: OwnPlan,
        report: Report,
        check: Check,
        progress: Progress = ignore_progress,
        keep: Keep = drop_evidence,
        /,
    ) -> Outcome:
        """Execute the plan. If it stops half way through a step, a later observe and plan can continue from there.

        `keep` receives what each failed container or task leaves behind, before it is removed. Reading that never changes the
        outcome.

        An engine's error becomes a `failed` or `rolled_back` outcome, and so does Cancelled. Raises only what else `check`
        raises, and EngineUnreachable when the target's state cannot be known.
        """


Driver = EngineDriver[Observation, Plan]

"""The shape every driver has: observe reads, plan is pure, execute makes no decision.

`standalone` (Compose projects and lone containers on a plain engine) and `swarm` implement it; `testing.FakeEngine`
stands in for the engine's client below them. The caller (triggers.run.runner) knows this module and nothing below it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from clusters.engine.snapshot import Snapshot

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

Level = Literal["info", "warning", "error"]
# What can be done to an application or to one of its containers as a whole. On a Swarm nothing is stopped or started.
Act = Literal["stop", "start", "restart", "delete"]
ACTS: tuple[Act, ...] = get_args(Act)
# report(level, operation, text): told each operation as it happens. `operation` is a word such as "pull", "create", "stop",
# "start", "watch", "rename", "remove", "rollback".
Report = Callable[[Level, str, str], None]
# progress(service, done, wanted): containers or tasks of the service that run as the plan wants them, so far.
Progress = Callable[[str, int, int], None]
# check(): called between operations and at least each second while waiting; raises to make execute stop at a safe step.
# Cancelled and HandOver let the operation under way end first; they are raised at each call, and execute heeds neither once it
# puts right what was left, takes back, or cleans up. Anything else leaves at once.
Check = Callable[[], None]


@dataclass(frozen=True)
class Target:
    """What a call is about, by names. `service` empty: all services. `source` as Application.Source."""

    application: str
    source: str
    service: str = ""

    def name_part(self, service: str) -> str:
        """`shop/web`; the name alone for the whole application, and where the application is one lone service."""
        return f"{self.application}/{service}" if service not in {"", self.application} else self.application


@dataclass(frozen=True)
class Intent:
    """What a plan has to know beyond the observation.

    `on_failure`: whether a change that fails is taken back or left as it is, where the engine does not decide that itself (a
    plain engine's plan always goes back). `before`: the target's snapshot from when the call was first claimed; a call that
    was taken over reads from it how far the work had come. None: this is the first attempt. `tag`: a redeploy changes the
    image references to it for good, digests go.
    """

    on_failure: Literal["rollback", "pause"] = "rollback"
    before: Snapshot | None = None
    tag: str = ""


FIRST_ATTEMPT = Intent()


def ignore_progress(service: str, done: int, wanted: int) -> None:
    """A Progress for callers that show none."""


class Observation(Protocol):
    """The target as the engine has it at one moment, with everything a plan needs."""

    def current_count(self, service: str) -> int:
        """The count that a step starts from. On a plain engine the containers of the service that run (leftovers of an
        unfinished recreate not counted twice), on a Swarm the replicas that are wanted."""

    def snapshot(self) -> Snapshot:
        """Return the form that is kept with a call (see Intent.before)."""


class Plan(Protocol):
    """Operations in order, each with its cause. `as_text()` is stable: tests, the log and the call page show it."""

    def as_text(self) -> str: ...

    def is_empty(self) -> bool:
        """Nothing to do: the target already is as asked."""


@dataclass(frozen=True)
class Outcome:
    """How the execution ended. `message` is one sentence: what happened and what the target is like now."""

    state: Literal["succeeded", "failed", "rolled_back"]
    reason: str = ""
    message: str = ""


@dataclass(frozen=True)
class Losses:
    """What a delete takes away, by names, and the named volumes that it leaves. `parts`: containers, on a Swarm services.
    `volumes` are anonymous ones."""

    parts: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    kept_volumes: tuple[str, ...] = ()


class Driver(Protocol):
    minimum_replicas: int  # the least that a service may be scaled to
    # Whether execute, when Cancelled, takes back also what an earlier attempt at a scaling or a redeploy did.
    takes_back_earlier: bool

    def observe(self, client: "EngineClient", target: Target) -> Observation:
        """Raises TargetMissing, EngineUnreachable, EngineRefused."""

    def observe_remains(self, client: "EngineClient", target: Target) -> Observation:
        """As observe, for a delete: that nothing is there any more is no error, and what goes along with the application (its
        own networks, a stack's configs and secrets) is read too. Raises EngineUnreachable, EngineRefused."""

    def read_losses(self, client: "EngineClient", target: Target, container: str = "") -> Losses:
        """What a delete would take away at this moment, in a few list requests. Raises EngineUnreachable, EngineRefused."""

    def plan_redeploy(self, observation: Observation, intent: Intent = FIRST_ATTEMPT) -> Plan:
        """Raises PlanRefused."""

    def plan_scale(self, observation: Observation, service: str, replicas: int, intent: Intent = FIRST_ATTEMPT) -> Plan:
        """Bring the service's count to `replicas` (at least `minimum_replicas`). Raises PlanRefused."""

    def plan_act(self, observation: Observation, act: Act, container: str = "", intent: Intent = FIRST_ATTEMPT) -> Plan:
        """Stop, start, restart or delete the target, or the one container of it that is named. A delete is planned on what
        `observe_remains` gave. Raises PlanRefused."""

    def execute(
        self, client: "EngineClient", plan: Plan, report: Report, check: Check, progress: Progress = ignore_progress
    ) -> Outcome:
        """Every step is safe to meet half done by a later observe. An engine's error becomes a `failed` or `rolled_back`
        outcome, and so does Cancelled; only what else `check` raises, and EngineUnreachable when the target's state cannot be
        known, comes out."""

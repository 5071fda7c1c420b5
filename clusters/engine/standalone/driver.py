"""Compose projects and lone containers on a plain engine."""

from typing import TYPE_CHECKING, cast

from clusters.engine.driver import (
    FIRST_ATTEMPT,
    Act,
    Check,
    Intent,
    Losses,
    Observation,
    Outcome,
    Plan,
    Progress,
    Report,
    Target,
    ignore_progress,
)
from clusters.engine.standalone.execute import execute_plan
from clusters.engine.standalone.lifecycle import plan_act, read_losses
from clusters.engine.standalone.observed import ObservedTarget, observe_remains, observe_target
from clusters.engine.standalone.plan import EnginePlan
from clusters.engine.standalone.redeploy import plan_redeploy
from clusters.engine.standalone.scale import plan_scale

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient


class StandaloneDriver:
    """The Driver of sources `compose` and `container`. Its observations and plans are its own: hand back what it gave."""

    minimum_replicas = 1
    takes_back_earlier = False

    def observe(self, client: "EngineClient", target: Target) -> Observation:
        return observe_target(client, target)

    def observe_remains(self, client: "EngineClient", target: Target) -> Observation:
        return observe_remains(client, target)

    def read_losses(self, client: "EngineClient", target: Target, container: str = "") -> Losses:
        return read_losses(client, target, container)

    def plan_redeploy(self, observation: Observation, intent: Intent = FIRST_ATTEMPT) -> Plan:
        return plan_redeploy(cast(ObservedTarget, observation), intent)

    def plan_scale(self, observation: Observation, service: str, replicas: int, intent: Intent = FIRST_ATTEMPT) -> Plan:
        return plan_scale(cast(ObservedTarget, observation), service, replicas)

    def plan_act(self, observation: Observation, act: Act, container: str = "", intent: Intent = FIRST_ATTEMPT) -> Plan:
        return plan_act(cast(ObservedTarget, observation), act, container, intent)

    def execute(
        self, client: "EngineClient", plan: Plan, report: Report, check: Check, progress: Progress = ignore_progress
    ) -> Outcome:
        return execute_plan(client, cast(EnginePlan, plan), report, check)

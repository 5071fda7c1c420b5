"""Swarm stacks and lone services, by way of a manager."""

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
from clusters.engine.swarm.execute import execute_plan
from clusters.engine.swarm.lifecycle import plan_act, read_losses
from clusters.engine.swarm.observed import SwarmTarget, observe_remains, observe_target
from clusters.engine.swarm.plan import SwarmPlan
from clusters.engine.swarm.redeploy import plan_redeploy
from clusters.engine.swarm.scale import plan_scale

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient


class SwarmDriver:
    """The Driver of sources `stack` and `service`. Its observations and plans are its own: hand back what it gave."""

    minimum_replicas = 0
    takes_back_earlier = True

    def observe(self, client: "EngineClient", target: Target) -> Observation:
        """Raises NotManager besides."""
        return observe_target(client, target)

    def observe_remains(self, client: "EngineClient", target: Target) -> Observation:
        """Raises NotManager besides."""
        return observe_remains(client, target)

    def read_losses(self, client: "EngineClient", target: Target, container: str = "") -> Losses:
        """Raises NotManager besides. A task's container is never deleted by itself."""
        return read_losses(client, target)

    def plan_redeploy(self, observation: Observation, intent: Intent = FIRST_ATTEMPT) -> Plan:
        return plan_redeploy(cast(SwarmTarget, observation), intent)

    def plan_scale(self, observation: Observation, service: str, replicas: int, intent: Intent = FIRST_ATTEMPT) -> Plan:
        return plan_scale(cast(SwarmTarget, observation), service, replicas, intent)

    def plan_act(self, observation: Observation, act: Act, container: str = "", intent: Intent = FIRST_ATTEMPT) -> Plan:
        return plan_act(cast(SwarmTarget, observation), act, container, intent)

    def execute(
        self, client: "EngineClient", plan: Plan, report: Report, check: Check, progress: Progress = ignore_progress
    ) -> Outcome:
        return execute_plan(client, cast(SwarmPlan, plan), report, check, progress)

"""Compose projects and lone containers on a plain engine."""

from typing import TYPE_CHECKING

from clusters.engine.driver import Check, Observation, Outcome, Plan, Report, Target

if TYPE_CHECKING:
    from clusters.engine.client import EngineClient


class StandaloneDriver:
    def observe(self, client: "EngineClient", target: Target) -> Observation:
        raise NotImplementedError

    def plan_redeploy(self, observation: Observation) -> Plan:
        raise NotImplementedError

    def plan_scale(self, observation: Observation, service: str, replicas: int) -> Plan:
        raise NotImplementedError

    def execute(self, client: "EngineClient", plan: Plan, report: Report, check: Check) -> Outcome:
        raise NotImplementedError

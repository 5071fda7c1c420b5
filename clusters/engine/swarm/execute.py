"""Execute a Swarm's plan. What follows a failure is in the plan too: nothing is decided here."""

from typing import TYPE_CHECKING

from clusters.engine.driver import Check, Outcome, Progress, Report, ignore_progress
from clusters.engine.evidence import Keep, drop_evidence
from clusters.engine.swarm.delete_execution import SwarmDeleteExecution
from clusters.engine.swarm.outcomes import add_withheld
from clusters.engine.swarm.plan import SwarmPlan
from clusters.engine.swarm.redeploy_execution import SwarmRedeployExecution
from clusters.engine.swarm.scale_execution import SwarmScaleExecution

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient


def execute_plan(
    client: "EngineClient",
    plan: SwarmPlan,
    report: Report,
    check: Check,
    progress: Progress = ignore_progress,
    keep: Keep = drop_evidence,
) -> Outcome:
    """See driver.EngineDriver.execute."""
    for note in plan.notes:
        report("info", "plan", note)
    for warning in plan.warnings:
        report("warning", "plan", warning)
    match plan.action:
        case "delete":
            return SwarmDeleteExecution(client, plan, report, check).run()
        case "scale":
            outcome = SwarmScaleExecution(client, plan, report, check, progress, keep).run()
        case "redeploy" | "restart":
            outcome = SwarmRedeployExecution(client, plan, report, check, progress, keep).run()
    return add_withheld(outcome, client.withheld)

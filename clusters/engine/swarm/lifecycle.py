"""The plans of restart and delete on a Swarm, and why the other acts are none there."""

from dataclasses import replace
from typing import TYPE_CHECKING

from clusters.engine.driver import Act, Intent, Losses, Target
from clusters.engine.errors import PlanRefused
from clusters.engine.swarm.observed import SwarmTarget, list_belongings, list_services
from clusters.engine.swarm.plan import AnyOperation, AwaitEnd, RemoveBelonging, RemoveService, SwarmPlan
from clusters.engine.swarm.redeploy import plan_redeploy
from clusters.engine.swarm.rules import Limits, read_limits
from clusters.engine.swarm.stack_labels import STACK_LABEL

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient


def plan_act(observed: SwarmTarget, act: Act, container: str, intent: Intent) -> SwarmPlan:
    """Raises PlanRefused."""
    if refusal := explain_refusal(act, container):
        raise PlanRefused(refusal, code="swarm")
    if act == "delete":
        return plan_delete(observed, intent)
    # Going back from a restart would start the same tasks once more: what Swarm's own policy does not settle is left.
    return plan_redeploy(observed, replace(intent, on_failure="pause"), restarts=True)


def explain_refusal(act: str, container: str) -> str:
    """Why a Swarm does not do that; empty when it does."""
    if container:
        return f"{container} is the container of a Swarm's task, which Swarm itself replaces: restart or scale its service."
    if act == "stop":
        return "A Swarm has no stopped services: scale each of them to 0 instead, which keeps its settings."
    if act == "start":
        return "A Swarm has no stopped services to start: scale them out instead."
    return ""


def plan_delete(observed: SwarmTarget, intent: Intent) -> SwarmPlan:
    """The services, and once their tasks are gone the networks, configs and secrets of a stack. Volumes stay on their nodes."""
    target = observed.target
    for service in observed.chosen:
        if observed.is_protected(service):
            raise PlanRefused(f"{service.name} is protected: the console runs in it, or its label says so.", code="protected")
    subject = target.name_part(target.service)
    cause = f"delete of {subject}"
    operations: list[AnyOperation] = [
        RemoveService(service=service.id, full_name=service.full_name, cause=cause) for service in observed.chosen
    ]
    if services := find_service_ids(observed, intent):
        silent = max((read_limits(service).silent for service in observed.chosen), default=Limits().silent)
        filters = (
            {"label": [f"{STACK_LABEL}={target.application}"]} if target.source == "stack" else {"name": [target.application]}
        )
        operations.append(AwaitEnd(subject=subject, services=services, filters=filters, silent=silent, cause=cause))
    if not target.service:
        cause = "it was made for the stack"
        operations += [RemoveBelonging(belonging=belonging, cause=cause) for belonging in observed.belongings]
    return SwarmPlan(title=f"delete {subject}", subject=subject, action="delete", operations=tuple(operations), goes_back=False)


def find_service_ids(observed: SwarmTarget, intent: Intent) -> frozenset[str]:
    """Also of those that an earlier attempt has removed: their tasks may still run."""
    before = intent.before.services if intent.before else {}
    return frozenset({service.id for service in observed.chosen} | {service.id for service in before.values()})


def read_losses(client: "EngineClient", target: Target) -> Losses:
    """See driver.Driver.read_losses."""
    services = [service for service in list_services(client, target) if target.service in {"", service.name}]
    belongings = [] if target.service else list(list_belongings(client, target))

    def named(kind: str) -> tuple[str, ...]:
        return tuple(belonging.name for belonging in belongings if belonging.kind == kind)

    return Losses(
        parts=tuple(sorted(service.full_name for service in services)),
        networks=named("network"),
        configs=named("config"),
        secrets=named("secret"),
    )

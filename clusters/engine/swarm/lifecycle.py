"""The plans of restart and delete on a Swarm, and the reasons why it has no other acts."""

from dataclasses import replace
from typing import TYPE_CHECKING

from clusters.engine.driver import FIRST_ATTEMPT, Act, Intent, Losses, Target
from clusters.engine.errors import PlanRefused
from clusters.engine.swarm.observed import SwarmTarget, find_target_services, list_stack_objects
from clusters.engine.swarm.plan import AnyOperation, AwaitEnd, RemoveService, RemoveStackObject, SwarmPlan
from clusters.engine.swarm.redeploy import plan_redeploy
from clusters.engine.swarm.rules import FollowLimits, read_limits
from clusters.engine.swarm.stack_labels import STACK_LABEL

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient


def plan_act(observed: SwarmTarget, act: Act, container: str = "", intent: Intent = FIRST_ATTEMPT) -> SwarmPlan:
    """Raises PlanRefused."""
    if refusal := explain_refusal(act, container):
        raise PlanRefused(refusal, code="swarm")
    if act == "delete":
        return plan_delete(observed, intent)
    # Rolling back a restart would start the same tasks once more: what Swarm's own policy does not settle is left as it is.
    return plan_redeploy(observed, replace(intent, on_failure="pause"), restarts=True)


def explain_refusal(act: str, container: str) -> str:
    """Return why a Swarm cannot do that, or an empty string if it can."""
    if container:
        return f"{container} is the container of a Swarm task, which Swarm itself replaces: restart or scale its service."
    if act == "stop":
        return "A Swarm has no stopped services: scale each of them to 0 instead, which keeps its settings."
    if act == "start":
        return "A Swarm has no stopped services to start: scale them out instead."
    return ""


def plan_delete(observed: SwarmTarget, intent: Intent) -> SwarmPlan:
    """Remove the services and then, once their tasks have ended, the networks, configs and secrets of a stack.

    Volumes stay on their nodes. Raises PlanRefused.
    """
    target = observed.target
    for service in observed.chosen:
        observed.refuse_protected(service)
    subject = target.name_part(target.service)
    cause = f"delete of {subject}"
    operations: list[AnyOperation] = [
        RemoveService(service=service.id, full_name=service.full_name, cause=cause)
        for service in (*observed.own_jobs, *observed.chosen)
    ]
    if services := find_service_ids(observed, intent):
        silent = max((read_limits(service).silent for service in observed.chosen), default=FollowLimits().silent)
        filters = (
            {"label": [f"{STACK_LABEL}={target.application}"]} if target.source == "stack" else {"name": [target.application]}
        )
        operations.append(AwaitEnd(subject=subject, services=services, filters=filters, silent=silent, cause=cause))
    if not target.service:
        cause = "it was created for the stack"
        operations += [RemoveStackObject(stack_object=found, cause=cause) for found in observed.stack_objects]
    return SwarmPlan(
        title=f"delete {subject}", subject=subject, action="delete", operations=tuple(operations), rolls_back=False
    )


def find_service_ids(observed: SwarmTarget, intent: Intent) -> frozenset[str]:
    """Return the ids of the services, including those that an earlier attempt removed: their tasks may still run."""
    before = intent.before.services if intent.before else {}
    return frozenset({service.id for service in observed.chosen} | {service.id for service in before.values()})


def read_losses(client: "EngineClient", target: Target, container: str = "") -> Losses:
    """See driver.EngineDriver.read_losses. `container` is ignored: a task's container is never deleted by itself."""
    services = [service for service in find_target_services(client, target) if target.service in {"", service.name}]
    stack_objects = [] if target.service else list(list_stack_objects(client, target))

    def list_names(kind: str) -> tuple[str, ...]:
        return tuple(found.name for found in stack_objects if found.kind == kind)

    return Losses(
        parts=tuple(sorted(service.full_name for service in services)),
        networks=list_names("network"),
        configs=list_names("config"),
        secrets=list_names("secret"),
    )

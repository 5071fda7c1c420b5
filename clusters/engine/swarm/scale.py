"""The plan of a scaling: change one number in the existing spec, then follow the tasks."""

from clusters.engine.driver import FIRST_ATTEMPT, Intent
from clusters.engine.errors import PlanRefused, TargetMissing
from clusters.engine.swarm.objects import SwarmService
from clusters.engine.swarm.observed import ServiceLook, SwarmTarget
from clusters.engine.swarm.plan import AnyOperation, FollowScale, PlannedService, Scale, SwarmPlan
from clusters.engine.swarm.redeploy import plan_service


def plan_scale(observed: SwarmTarget, name: str, replicas: int, intent: Intent = FIRST_ATTEMPT) -> SwarmPlan:
    """Raises PlanRefused."""
    service = find_scalable(observed, name, replicas)
    look = observed.look_at(service)
    before = read_wanted_before(intent, service, look.wanted)
    cause = f"scale {name} from {before} to {replicas}"
    return SwarmPlan(
        title=f"scale {observed.target.name_part(name)} from {before} to {replicas}",
        subject=observed.target.name_part(name),
        action="scale",
        operations=tuple(plan_operations(look, plan_service(service, intent), before, replicas, intent, cause)),
        rolls_back=intent.on_failure == "rollback",
        warnings=tuple(find_warnings(service)),
    )


def find_scalable(observed: SwarmTarget, name: str, replicas: int) -> SwarmService:
    try:
        service = observed.find_service(name)
    except TargetMissing as error:
        raise PlanRefused(error.message, code="not_found") from error
    observed.refuse_protected(service)
    if service.is_job:
        raise PlanRefused(f"{name} is a job: it runs to completion and has no replicas to scale.", code="job_mode")
    if service.mode == "global":
        raise PlanRefused(f"{name} is global, one task on each node: it has no replicas to scale.", code="global_mode")
    if replicas < 0:
        raise PlanRefused("A service cannot have fewer than 0 tasks.", code="below_one")
    return service


def read_wanted_before(intent: Intent, service: SwarmService, wanted: int) -> int:
    """Return the replicas that the snapshot before the call has for the service, else `wanted`."""
    found = intent.before.services.get(service.name) if intent.before else None
    return wanted if found is None or found.wanted is None else found.wanted


def plan_operations(
    look: ServiceLook, service: PlannedService, before: int, replicas: int, intent: Intent, cause: str
) -> list[AnyOperation]:
    assert look.service
    if was_restored(look.service, before, replicas, intent):
        reason = f"The scaling of {service.name} to {replicas} failed in an earlier attempt."
        end = FollowScale(
            service=service,
            before=before,
            replicas=before,
            is_out=False,
            restore=None,
            reason=reason,
            cause="the replicas were set back",
        )
        return [end]
    restore = before if intent.on_failure == "rollback" and before != replicas else None
    is_out = replicas >= before
    follow = FollowScale(service=service, before=before, replicas=replicas, is_out=is_out, restore=restore, cause=cause)
    if look.wanted != replicas:
        return [Scale(service=service, replicas=replicas, cause=cause), follow]
    is_reached = len(look.running) == replicas == sum(task.runs and look.is_reachable(task) for task in look.tasks)
    return [] if is_reached and before == replicas else [follow]


def was_restored(service: SwarmService, before: int, replicas: int, intent: Intent) -> bool:
    """Return whether an earlier attempt set the count, failed and set it back: its spec is the previous spec then."""
    found = intent.before.services.get(service.name) if intent.before else None
    saved = found.update if found else None
    previous = ((service.previous_spec.get("Mode") or {}).get("Replicated") or {}).get("Replicas")
    is_touched = saved is not None and service.version != saved.version
    return is_touched and intent.on_failure == "rollback" and service.replicas == before != replicas == previous


def find_warnings(service: SwarmService) -> list[str]:
    if service.update_state in {"paused", "rollback_paused"}:
        return [f"an earlier update of {service.name} is paused: Swarm resumes it when anything about the service changes"]
    return []

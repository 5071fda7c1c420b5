"""The plan of a scaling: one number in the spec that is there, and following the tasks."""

from clusters.engine.driver import Intent
from clusters.engine.errors import PlanRefused, TargetMissing
from clusters.engine.swarm.observed import Look, SwarmService, SwarmTarget
from clusters.engine.swarm.plan import AnyOperation, FollowScale, Part, Scale, SwarmPlan
from clusters.engine.swarm.redeploy import make_part

WAS_PUT_BACK = "it was put back"


def plan_scale(observed: SwarmTarget, name: str, replicas: int, intent: Intent) -> SwarmPlan:
    """Raises PlanRefused."""
    service = find_scalable(observed, name, replicas)
    look = observed.look_at(service)
    wanted = look.wanted
    before = read_wanted_before(intent, service, wanted)
    cause = f"scale {name} from {before} to {replicas}"
    return SwarmPlan(
        title=f"scale {observed.target.name_part(name)} from {before} to {replicas}",
        subject=observed.target.name_part(name),
        action="scale",
        operations=tuple(plan_operations(look, make_part(service, intent), before, replicas, intent, cause)),
        goes_back=intent.on_failure == "rollback",
        warnings=tuple(find_warnings(service)),
    )


def find_scalable(observed: SwarmTarget, name: str, replicas: int) -> SwarmService:
    try:
        service = observed.find_service(name)
    except TargetMissing as error:
        raise PlanRefused(error.message, code="not_found") from error
    if observed.is_protected(service):
        raise PlanRefused(f"{name} is protected: the console runs in it, or its label says so.", code="protected")
    if service.is_job:
        raise PlanRefused(f"{name} is a job: it runs to its end and has no count to scale.", code="job_mode")
    if service.mode == "global":
        raise PlanRefused(f"{name} is global, one task on each node: it has no count to scale.", code="global_mode")
    if replicas < 0:
        raise PlanRefused("A service cannot have less than 0 tasks.", code="below_one")
    return service


def read_wanted_before(intent: Intent, service: SwarmService, wanted: int) -> int:
    found = intent.before.services.get(service.name) if intent.before else None
    return wanted if found is None or found.wanted is None else found.wanted


def plan_operations(look: Look, part: Part, before: int, replicas: int, intent: Intent, cause: str) -> list[AnyOperation]:
    assert look.service
    if was_put_back(look.service, before, replicas, intent):
        reason = f"The scaling of {part.name} to {replicas} failed in an earlier attempt."
        end = FollowScale(
            part=part, before=before, replicas=before, is_out=False, put_back=None, reason=reason, cause=WAS_PUT_BACK
        )
        return [end]
    put_back = before if intent.on_failure == "rollback" and before != replicas else None
    is_out = replicas >= before
    follow = FollowScale(part=part, before=before, replicas=replicas, is_out=is_out, put_back=put_back, cause=cause)
    if look.wanted != replicas:
        return [Scale(part=part, replicas=replicas, cause=cause), follow]
    is_there = len(look.running) == replicas == sum(task.runs and look.is_reachable(task) for task in look.tasks)
    return [] if is_there and before == replicas else [follow]


def was_put_back(service: SwarmService, before: int, replicas: int, intent: Intent) -> bool:
    """An earlier attempt has set the count and, when that failed, put it back: its spec is the previous one now."""
    found = intent.before.services.get(service.name) if intent.before else None
    saved = found.update if found else None
    previous = ((service.previous_spec.get("Mode") or {}).get("Replicated") or {}).get("Replicas")
    is_touched = saved is not None and service.version != saved.version
    return is_touched and intent.on_failure == "rollback" and service.replicas == before != replicas == previous


def find_warnings(service: SwarmService) -> list[str]:
    if service.update_state in {"paused", "rollback_paused"}:
        return [f"an earlier update of {service.name} is paused: Swarm goes on with it when anything about it is changed"]
    return []

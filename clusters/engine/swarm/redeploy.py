"""The plan of a redeploy: resolve every digest first, then update the services wave by wave and follow each to its end."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from clusters.engine.driver import FIRST_ATTEMPT, Intent
from clusters.engine.errors import PlanRefused
from clusters.engine.references import is_digest_pinned
from clusters.engine.snapshot import UpdateSnapshot
from clusters.engine.swarm.goals import FAILURES_OF_A_PLACE, LEFT_TO_SWARM, Patience
from clusters.engine.swarm.job_plan import plan_check, plan_jobs_before
from clusters.engine.swarm.objects import SwarmService
from clusters.engine.swarm.observed import SwarmTarget
from clusters.engine.swarm.placement import explain_no_room
from clusters.engine.swarm.plan import (
    AnyOperation,
    FinishRollback,
    Follow,
    PlannedService,
    Remedy,
    RemoveService,
    Resolve,
    RunJob,
    SwarmPlan,
    Update,
)
from clusters.engine.swarm.rules import continues_on_failure, read_depends, read_limits, rolls_back_by_itself
from clusters.engine.tags import describe_image_choice, refuse_several_repositories, with_tag
from clusters.engine.wording import cut

Stage = Literal["update", "follow", "rollback"]


def plan_redeploy(observed: SwarmTarget, intent: Intent = FIRST_ATTEMPT, restarts: bool = False) -> SwarmPlan:
    """`restarts` means that every service keeps its exact image and no registry is asked. Raises PlanRefused."""
    target = observed.target
    subject = target.name_part(target.service)
    chosen = choose_services(observed, intent)
    refuse_unredeployable(observed, chosen)
    if intent.tag:
        refuse_several_repositories(subject, [service.reference for service in chosen])
    stages = {service.name: read_stage(service, read_before(intent, service)) for service in chosen}
    refuse_without_room(observed, chosen, stages)
    waves, warnings = sort_into_waves(chosen, observed.services)
    rolls_back = intent.on_failure == "rollback"
    has_rollback = "rollback" in stages.values()
    notes: list[str] = []
    if has_rollback and rolls_back:
        operations = plan_rollback(chosen, stages, intent)
    else:
        before: list[RunJob | RemoveService] = []
        if not restarts and set(stages.values()) == {"update"}:  # later, an earlier attempt has already run them
            before, notes = plan_jobs_before([service for wave in waves for service in wave], intent)
        operations = plan_updates(waves, stages, intent, starts=not has_rollback, restarts=restarts, before=before)
    not_started = tuple(service.name for service in chosen if has_rollback and stages[service.name] == "update")
    return SwarmPlan(
        title=f"{'restart' if restarts else 'redeploy'} {subject}{describe_image_choice(intent)}",
        subject=subject,
        action="restart" if restarts else "redeploy",
        operations=operations,
        rolls_back=rolls_back,
        notes=(*describe_stages(stages), *notes),
        warnings=tuple(warnings),
        not_started=not_started,
    )


def plan_repair(observed: SwarmTarget) -> SwarmPlan:
    """See driver.EngineDriver.plan_repair."""
    subject = observed.target.application
    return SwarmPlan(title=f"repair {subject}", subject=subject, action="redeploy", operations=(), rolls_back=False)


def choose_services(observed: SwarmTarget, intent: Intent) -> list[SwarmService]:
    """Raises PlanRefused if no service is left of those that are to return to an image, or if its digest is not known."""
    if not intent.returns_to:
        return observed.chosen
    chosen = [service for service in observed.chosen if service.name in intent.returns_to]
    if not chosen:
        raise PlanRefused(f"There is no service {', '.join(sorted(intent.returns_to))} any longer.", code="not_found")
    for service in chosen:
        if not intent.returns_to[service.name].digests:
            what = f"The digest of the image that {service.name} ran before is not known"
            raise PlanRefused(f"{what}, so Swarm cannot return to it.", code="missing_image")
    return chosen


def refuse_unredeployable(observed: SwarmTarget, chosen: Iterable[SwarmService]) -> None:
    for service in chosen:
        observed.refuse_protected(service)
        if not service.image:
            raise PlanRefused(f"{service.name} does not run containers from an image.", code="no_image_reference")


def refuse_without_room(observed: SwarmTarget, chosen: Iterable[SwarmService], stages: Mapping[str, Stage]) -> None:
    """Refuse an update that could never begin, unless one has been sent already. Raises PlanRefused."""
    if set(stages.values()) == {"update"}:
        for service in chosen:
            if reason := explain_no_room(observed.look_at(service)):
                raise PlanRefused(reason, code="no_room")


# How far an earlier attempt has come


def read_before(intent: Intent, service: SwarmService) -> UpdateSnapshot | None:
    """Return what the snapshot before the call says about the service's update; None without one."""
    found = intent.before.services.get(service.name) if intent.before else None
    return found.update if found else None


def read_stage(service: SwarmService, before: UpdateSnapshot | None) -> Stage:
    """Return how far an earlier attempt has come with the service.

    `follow` means that our update was sent; `rollback`, that it was sent and then rolled back, by Swarm or by us; `update`,
    that it was not sent yet.
    """
    if not before:
        return "update"
    if service.force_update == before.force_update + 1:
        return "follow"
    is_rolled_back = service.force_update == before.force_update and service.update_state.startswith("rollback_")
    return "rollback" if is_rolled_back and service.update_started_at != before.started_at else "update"


def describe_stages(stages: Mapping[str, Stage]) -> Iterable[str]:
    for name, stage in stages.items():
        if stage == "follow":
            yield f"the update of {name} was already sent"
        elif stage == "rollback":
            yield f"the rollback of {name} has already started"


# Updates


def plan_updates(
    waves: list[list[SwarmService]],
    stages: Mapping[str, Stage],
    intent: Intent,
    starts: bool,
    restarts: bool,
    before: Sequence[RunJob | RemoveService] = (),
) -> tuple[AnyOperation, ...]:
    """`starts` means that services whose update was not sent yet are updated too. `before`: jobs that come first."""
    operations: list[AnyOperation] = []
    to_update = [service for wave in waves for service in wave if stages[service.name] == "update" and starts]
    operations += [] if restarts or intent.returns_to else plan_resolves(to_update, intent.tag)
    operations += before
    word = "restart" if restarts else "redeploy"
    for number, wave in enumerate(waves, 1):
        chosen = [service for service in wave if starts or stages[service.name] != "update"]
        planned = [plan_service(service, intent, restarts) for service in chosen]
        cause = word if len(waves) == 1 else f"{word}, wave {number} of {len(waves)}"
        operations += [
            Update(service=service, restarts=restarts, cause=cause) for service in planned if stages[service.name] == "update"
        ]
        if planned:
            operations.append(Follow(services=tuple(planned), cause=cause))
        if not restarts:
            checks = [plan_check(service, one, intent) for service, one in zip(chosen, planned, strict=True)]
            operations += [check for check in checks if check]
    return tuple(operations)


def plan_resolves(services: Iterable[SwarmService], tag: str) -> list[Resolve]:
    """Return an operation for each distinct reference."""
    pinned: dict[str, bool] = {}
    for service in services:
        reference = with_tag(service.reference, tag)
        if not is_digest_pinned(reference):
            is_known = reference == service.reference and is_digest_pinned(service.image)
            pinned[reference] = pinned.get(reference, False) or is_known
    cause = "an update pins its image to a digest"
    return [
        Resolve(reference=reference, pinned=pinned[reference], required=bool(tag), cause=cause) for reference in sorted(pinned)
    ]


def plan_service(service: SwarmService, intent: Intent, restarts: bool = False) -> PlannedService:
    before = read_before(intent, service)
    is_sent = bool(before) and read_stage(service, before) != "update"
    remedy = choose_remedy(service, intent)
    reference, pinned = choose_reference(service, intent)
    return PlannedService(
        name=service.name,
        full_name=service.full_name,
        id=service.id,
        reference=service.image if restarts else reference,
        pinned=pinned,
        replaces=service.reference if intent.tag or (pinned and reference != service.reference) else "",
        previous_force_update=before.force_update if before and is_sent else service.force_update,
        earlier_update=before.started_at if before else service.update_started_at,
        wanted=service.replicas,
        is_job=service.is_job,
        limits=read_limits(service),
        remedy=remedy,
        patience=choose_patience(service, remedy),
    )


def choose_reference(service: SwarmService, intent: Intent) -> tuple[str, str]:
    """Return the reference that later redeploys start from, and the image with the digest that the update returns to.

    Where a person has written a digest, the one that is returned to takes its place.
    """
    previous = intent.returns_to.get(service.name)
    if previous is None:
        return with_tag(service.reference, intent.tag), ""
    pinned = previous.digests[0]
    return (pinned if is_digest_pinned(service.reference) else previous.reference or service.reference), pinned


def choose_remedy(service: SwarmService, intent: Intent) -> Remedy:
    if service.is_job:
        return "leave"  # a rollback would run the old job once more
    if rolls_back_by_itself(service):
        return "swarm"
    return "rollback" if intent.on_failure == "rollback" else "leave"


def choose_patience(service: SwarmService, remedy: Remedy) -> Patience | None:
    """Swarm pauses or rolls back by itself, unless it must continue whatever fails: then we stop it, or nobody does."""
    if not continues_on_failure(service):
        return LEFT_TO_SWARM
    return None if remedy == "leave" else Patience(FAILURES_OF_A_PLACE)


# Rollback


def plan_rollback(services: Iterable[SwarmService], stages: Mapping[str, Stage], intent: Intent) -> tuple[AnyOperation, ...]:
    planned = [plan_service(service, intent) for service in services]
    return (
        FinishRollback(
            updated=tuple(service for service in planned if stages[service.name] == "follow"),
            rolling_back=tuple(service for service in planned if stages[service.name] == "rollback"),
            cause="an update failed, so all services roll back",
        ),
    )


# Order


def sort_into_waves(chosen: list[SwarmService], services: Iterable[SwarmService]) -> tuple[list[list[SwarmService]], list[str]]:
    """Return waves of services to update side by side, dependencies in an earlier wave; and warnings. Raises PlanRefused."""
    known = {name: service.name for service in services for name in (service.name, service.full_name)}
    by_name = {service.name: service for service in chosen}
    depends = {service.name: {known[name] for name in read_depends(service) if name in known} for service in chosen}
    warnings = [
        f"{service.name} depends on {cut(name)[:100]}, which is not a service of this application: the dependency is ignored"
        for service in chosen
        for name in read_depends(service)
        if name not in known
    ]
    waves: list[list[SwarmService]] = []
    waiting = set(by_name)
    while waiting:
        ready = sorted(name for name in waiting if not depends[name] & waiting)
        if not ready:
            circle = ", ".join(find_circle(depends, waiting))
            raise PlanRefused(f"The services depend on each other in a circle: {circle}.", code="dependency_cycle")
        waves.append([by_name[name] for name in ready])
        waiting -= set(ready)
    return waves, warnings


def find_circle(depends: Mapping[str, set[str]], waiting: set[str]) -> list[str]:
    """Return the services of one circle, in order. Each of `waiting` depends on another one of them."""
    path = [min(waiting)]
    while (following := min(depends[path[-1]] & waiting)) not in path:
        path.append(following)
    return path[path.index(following) :]

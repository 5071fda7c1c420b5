"""The plan of a redeploy: every digest first, then wave by wave an update of each service, followed to its end."""

from collections.abc import Iterable, Mapping
from typing import Literal

from clusters.engine.driver import Intent
from clusters.engine.errors import PlanRefused
from clusters.engine.references import is_digest_pinned
from clusters.engine.snapshot import UpdateSnapshot
from clusters.engine.swarm.observed import SwarmService, SwarmTarget
from clusters.engine.swarm.plan import AnyOperation, Follow, GoBack, Part, Remedy, Resolve, SwarmPlan, Update
from clusters.engine.swarm.progress import FAILURES_OF_A_PLACE, LEFT_TO_SWARM, Patience
from clusters.engine.swarm.rules import continues_on_failure, goes_back_by_itself, read_depends, read_limits
from clusters.engine.tags import refuse_several_repositories, with_tag
from clusters.engine.wording import cut

Stage = Literal["update", "follow", "return"]


def plan_redeploy(observed: SwarmTarget, intent: Intent, restarts: bool = False) -> SwarmPlan:
    """`restarts`: every service keeps the very image that it has, and no registry is asked. Raises PlanRefused."""
    target = observed.target
    subject = target.name_part(target.service)
    refuse_untouchable(observed)
    if intent.tag:
        refuse_several_repositories(subject, [service.reference for service in observed.chosen])
    stages = {service.name: read_stage(service, read_before(intent, service)) for service in observed.chosen}
    waves, warnings = sort_waves(observed.chosen, observed.services)
    goes_back = intent.on_failure == "rollback"
    is_returning = "return" in stages.values()
    if is_returning and goes_back:
        operations = plan_way_back(observed.chosen, stages, intent)
    else:
        operations = plan_way_forward(waves, stages, intent, begins=not is_returning, restarts=restarts)
    unbegun = tuple(service.name for service in observed.chosen if is_returning and stages[service.name] == "update")
    return SwarmPlan(
        title=f"{'restart' if restarts else 'redeploy'} {subject}{f' with the tag {intent.tag}' if intent.tag else ''}",
        subject=subject,
        action="restart" if restarts else "redeploy",
        operations=operations,
        goes_back=goes_back,
        notes=tuple(describe_stages(stages)),
        warnings=tuple(warnings),
        unbegun=unbegun,
    )


def refuse_untouchable(observed: SwarmTarget) -> None:
    for service in observed.chosen:
        if observed.is_protected(service):
            raise PlanRefused(f"{service.name} is protected: the console runs in it, or its label says so.", code="protected")
        if not service.image:
            raise PlanRefused(f"{service.name} does not run containers of an image.", code="no_image_reference")


# How far an earlier attempt has come


def read_before(intent: Intent, service: SwarmService) -> UpdateSnapshot | None:
    """Return what the snapshot from before the call says about the service's update; None without one."""
    found = intent.before.services.get(service.name) if intent.before else None
    return found.update if found else None


def read_stage(service: SwarmService, before: UpdateSnapshot | None) -> Stage:
    """`follow`: our update was sent. `return`: it was, and is being taken back, by Swarm or by us. Else `update`."""
    if not before:
        return "update"
    if service.force_update == before.force_update + 1:
        return "follow"
    is_back = service.force_update == before.force_update and service.update_state.startswith("rollback_")
    return "return" if is_back and service.update_started_at != before.started_at else "update"


def describe_stages(stages: Mapping[str, Stage]) -> Iterable[str]:
    for name, stage in stages.items():
        if stage == "follow":
            yield f"the update of {name} was sent already"
        elif stage == "return":
            yield f"{name} is going back, or has gone back, already"


# The way forward


def plan_way_forward(
    waves: list[list[SwarmService]], stages: Mapping[str, Stage], intent: Intent, begins: bool, restarts: bool
) -> tuple[AnyOperation, ...]:
    """`begins`: services whose update was not sent yet are updated too."""
    operations: list[AnyOperation] = []
    to_update = [service for wave in waves for service in wave if stages[service.name] == "update" and begins]
    operations += [] if restarts else plan_resolves(to_update, intent.tag)
    word = "restart" if restarts else "redeploy"
    for number, wave in enumerate(waves, 1):
        parts = [make_part(service, intent, restarts) for service in wave if begins or stages[service.name] != "update"]
        cause = word if len(waves) == 1 else f"{word}, wave {number} of {len(waves)}"
        operations += [Update(part=part, restarts=restarts, cause=cause) for part in parts if stages[part.name] == "update"]
        if parts:
            operations.append(Follow(parts=tuple(parts), cause=cause))
    return tuple(operations)


def plan_resolves(services: Iterable[SwarmService], tag: str) -> list[Resolve]:
    """Each reference once."""
    pinned: dict[str, bool] = {}
    for service in services:
        reference = with_tag(service.reference, tag)
        if not is_digest_pinned(reference):
            is_known = reference == service.reference and is_digest_pinned(service.image)
            pinned[reference] = pinned.get(reference, False) or is_known
    cause = "an update runs the digest it is given"
    return [
        Resolve(reference=reference, pinned=pinned[reference], required=bool(tag), cause=cause) for reference in sorted(pinned)
    ]


def make_part(service: SwarmService, intent: Intent, restarts: bool = False) -> Part:
    before = read_before(intent, service)
    is_sent = read_stage(service, before) == "follow"
    remedy = choose_remedy(service, intent)
    return Part(
        name=service.name,
        full_name=service.full_name,
        id=service.id,
        reference=service.image if restarts else with_tag(service.reference, intent.tag),
        replaces=service.reference if intent.tag else "",
        previous=before.force_update
        if before and (is_sent or read_stage(service, before) == "return")
        else service.force_update,
        stale=before.started_at if before else service.update_started_at,
        wanted=service.replicas,
        is_job=service.is_job,
        limits=read_limits(service),
        remedy=remedy,
        patience=choose_patience(service, remedy),
    )


def choose_remedy(service: SwarmService, intent: Intent) -> Remedy:
    if service.is_job:
        return "leave"  # going back would run the old one once more
    if goes_back_by_itself(service):
        return "swarm"
    return "back" if intent.on_failure == "rollback" else "leave"


def choose_patience(service: SwarmService, remedy: Remedy) -> Patience | None:
    """Swarm pauses or rolls back by itself, or was told to continue whatever fails: then nobody else stops it, or we do."""
    if not continues_on_failure(service):
        return LEFT_TO_SWARM
    return None if remedy == "leave" else Patience(FAILURES_OF_A_PLACE)


# The way back


def plan_way_back(services: Iterable[SwarmService], stages: Mapping[str, Stage], intent: Intent) -> tuple[AnyOperation, ...]:
    parts = {service.name: make_part(service, intent) for service in services}
    return (
        GoBack(
            parts=tuple(part for name, part in parts.items() if stages[name] == "follow"),
            returning=tuple(part for name, part in parts.items() if stages[name] == "return"),
            cause="an update failed, and all go back together",
        ),
    )


# In which order


def sort_waves(chosen: list[SwarmService], services: Iterable[SwarmService]) -> tuple[list[list[SwarmService]], list[str]]:
    """Services side by side, those that others depend on in an earlier wave; and warnings. Raises PlanRefused."""
    known = {name: service.name for service in services for name in (service.name, service.full_name)}
    by_name = {service.name: service for service in chosen}
    depends = {service.name: {known[name] for name in read_depends(service) if name in known} for service in chosen}
    warnings = [
        f"{service.name} depends on {cut(name)[:100]}, which is no service of it: this is ignored"
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
    """The services of one circle, in order; each of `waiting` depends on another one of them."""
    path = [min(waiting)]
    while (following := min(depends[path[-1]] & waiting)) not in path:
        path.append(following)
    return path[path.index(following) :]

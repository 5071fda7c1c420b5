"""The plan of a redeploy: pull every image, then replace container by container, parents before what depends on them."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clusters.engine import names
from clusters.engine.driver import FIRST_ATTEMPT, Intent
from clusters.engine.errors import PlanRefused
from clusters.engine.operation import Operation
from clusters.engine.references import came_from_registry, is_digest_pinned, is_image_id
from clusters.engine.standalone.observed import ObservedContainer, ObservedTarget, find_dependants
from clusters.engine.standalone.plan import Change, EnginePlan, Pull, Ref, Start, Step, Stop
from clusters.engine.standalone.recovery import Recovered, recover
from clusters.engine.standalone.recreate import (
    Replacement,
    Successors,
    collect_cleanup,
    make_step,
    replace_container,
    unchanged_image,
)
from clusters.engine.standalone.rules import read_parallelism, read_pull_policy
from clusters.engine.tags import refuse_several_repositories, with_tag
from clusters.engine.wording import explain_protection


@dataclass
class Work:
    """One container of the plan. `image` is what to make it from; a dependant keeps the image it runs."""

    container: ObservedContainer
    image: str
    follows_image: bool
    cause: str


def plan_redeploy(observed: ObservedTarget, intent: Intent = FIRST_ATTEMPT) -> EnginePlan:
    """Raises PlanRefused."""
    target = observed.target
    subject = target.name_part(target.service)
    recovered = recover(observed.containers)
    chosen = [item for item in recovered.containers if target.service in {"", item.place.service}]
    rest = [item for item in recovered.containers if item not in chosen]
    elsewhere = recover_elsewhere(observed, recovered.containers)
    dependants = find_dependants(chosen, [*rest, *elsewhere.containers])
    refuse_untouchable(chosen, dependants)
    references = {container.id: find_reference(observed, container, chosen) for container in chosen}
    if intent.tag:
        refuse_several_repositories(subject, references.values())
        references = {key: with_tag(reference, intent.tag) for key, reference in references.items()}
    pulls, notes = plan_pulls(observed, [(container, references[container.id]) for container in chosen], intent.tag)
    works = [
        Work(container, references[container.id], True, f"redeploy of {container.place.service}") for container in chosen
    ] + [
        Work(
            container,
            unchanged_image(observed, container),
            False,
            "it shares a namespace with, or is linked to, what is replaced",
        )
        for container in dependants
    ]
    restarts = find_restarts([item.place.service for item in chosen], [item for item in rest if item not in dependants])
    steps, replacements, changes = plan_steps(observed, sort_works(works), restarts)
    missing = [item.name for item in chosen if observed.image_of(item) is None]
    return EnginePlan(
        title=f"redeploy {subject}{f' with the tag {intent.tag}' if intent.tag else ''}",
        subject=subject,
        action="redeploy",
        recovery=(*recovered.operations, *elsewhere.operations),
        pulls=tuple(pulls),
        steps=steps,
        cleanup=collect_cleanup(replacements),
        leftovers=(*elsewhere.leftovers, *recovered.leftovers),
        notes=tuple(notes),
        warnings=tuple(f"the image of {name} is gone: its own defaults are kept as if they were settings" for name in missing),
        changes=changes,
    )


def recover_elsewhere(observed: ObservedTarget, ours: Iterable[ObservedContainer]) -> Recovered:
    """Dependants outside of the application, whose recreate may be unfinished too."""
    ours = list(ours)
    bases = {names.base_name(item.engine_name) for item in find_dependants(ours, observed.others)}
    unfinished = [item for item in observed.others if names.base_name(item.engine_name) in bases]
    return recover(unfinished, frozenset().union(*(item.former_ids for item in ours)))


def refuse_untouchable(chosen: Iterable[ObservedContainer], dependants: Iterable[ObservedContainer]) -> None:
    for container in [*chosen, *dependants]:
        if container.is_protected:
            raise PlanRefused(explain_protection(container.name), code="protected")
        if container.state == "paused":
            raise PlanRefused(f"{container.name} is paused: resume or stop it first.", code="paused")


# Which image


def find_reference(observed: ObservedTarget, container: ObservedContainer, chosen: Sequence[ObservedContainer]) -> str:
    """The reference to redeploy from. An id alone cannot be updated: another container of the service may know better."""
    if not is_image_id(container.image, container.image_id):
        return container.image
    siblings = [item for item in observed.containers if item.place.service == container.place.service]
    known = {item.image for item in siblings if not is_image_id(item.image, item.image_id)}
    if len(known) == 1:
        return known.pop()
    raise PlanRefused(
        f"{container.name} was made from an image id, so nothing tells which image would follow it: make it from a tag.",
        code="no_image_reference",
    )


def plan_pulls(
    observed: ObservedTarget, wanted: Iterable[tuple[ObservedContainer, str]], tag: str = ""
) -> tuple[list[Pull], list[str]]:
    """Each reference once, and what is to be said of those that are not pulled. `tag`: the one that was asked for."""
    services: dict[str, list[ObservedContainer]] = {}
    for container, reference in wanted:
        services.setdefault(reference, []).append(container)
    pulls, notes = [], []
    for reference, containers in services.items():
        decided = decide_pull(observed, reference, {policy for item in containers if (policy := read_pull_policy(item))}, tag)
        if isinstance(decided, str):
            notes.append(decided)
        else:
            pulls.append(decided)
    return pulls, notes


def decide_pull(observed: ObservedTarget, reference: str, policies: set[str], tag: str) -> Pull | str:
    """The pull, or the sentence that says why there is none."""
    known = observed.images.get(reference)
    policy = next((policy for policy in ("always", "missing", "never") if policy in policies), "")
    optional = known is not None and not came_from_registry(known, reference)
    pull = Pull(reference=reference, optional=optional and policy != "always", cause="its image may be newer")
    if policy == "never":
        return f"{reference} is not pulled: its label says never"
    if known is None:
        return Pull(reference=reference, cause="its tag was asked for" if tag else "the engine does not have it")
    if policy == "always":
        return pull
    if policy == "missing":
        return f"{reference} is not pulled: it is here, and its label says to pull what is missing"
    if is_digest_pinned(reference):
        return f"{reference} is not pulled: it is here, and its digest cannot change"
    if not known.get("RepoDigests"):
        return f"{reference} is not pulled: it exists only on this engine"
    return pull


# In which order


def parse_depends_on(text: str) -> dict[str, bool]:
    """Compose's label: `db:service_healthy:true,cache:service_started:false`."""
    found = {}
    for entry in filter(None, text.split(",")):
        service, _, rest = entry.partition(":")
        found[service] = rest.rsplit(":", 1)[-1] == "true"
    return found


def parse_conditions(text: str) -> dict[str, str]:
    """Of the same label, by service: `service_healthy`."""
    parted = [entry.split(":") for entry in text.split(",")]
    return {parts[0]: parts[1] for parts in parted if len(parts) > 1}


def find_predecessors(containers: Iterable[ObservedContainer]) -> dict[str, set[str]]:
    """By container id: the ids of those among them whose namespaces it joins, that it is linked to, or that are of a service
    which its own depends on."""
    containers = list(containers)
    by_key = {key: container.id for container in containers for key in container.keys}
    members: dict[tuple[str, str], set[str]] = {}
    for container in containers:
        members.setdefault((container.place.application, container.place.service), set()).add(container.id)
    found: dict[str, set[str]] = {}
    for container in containers:
        found[container.id] = {by_key[key] for key in container.joined_containers() if key in by_key}
        for service in parse_depends_on(container.labels.get(names.DEPENDS_ON_LABEL, "")):
            found[container.id] |= members.get((container.place.application, service), set())
    return found


def sort_works(works: list[Work]) -> list[Work]:
    """Whom others depend on first; else by service and number. A circle is cut where the order meets it."""
    after = find_predecessors([work.container for work in works])
    ordered: list[Work] = []
    done: set[str] = set()
    waiting = sorted(works, key=lambda work: (work.container.place.service, work.container.number, work.container.name))
    while waiting:
        work = next((work for work in waiting if after[work.container.id] - {work.container.id} <= done), waiting[0])
        waiting.remove(work)
        ordered.append(work)
        done.add(work.container.id)
    return ordered


def find_restarts(chosen: Iterable[str], rest: Sequence[ObservedContainer]) -> dict[str, list[ObservedContainer]]:
    """By chosen service: running containers that Compose would restart when that service was replaced."""
    services = set(chosen)
    found: dict[str, list[ObservedContainer]] = {}
    for container in rest:
        if not container.running or container.is_protected:
            continue
        for service, restart in parse_depends_on(container.labels.get(names.DEPENDS_ON_LABEL, "")).items():
            if restart and service in services:
                found.setdefault(service, []).append(container)
    return found


def plan_steps(
    observed: ObservedTarget, works: Sequence[Work], restarts: dict[str, list[ObservedContainer]]
) -> tuple[tuple[Step, ...], list[Replacement], tuple[Change, ...]]:
    successors = Successors()
    steps: list[Step] = []
    replacements: list[Replacement] = []
    changes: list[Change] = []
    for service, group in itertools.groupby(works, key=lambda work: work.container.place.service):
        of_service = list(group)
        size = read_parallelism(of_service[0].container)
        for start in range(0, len(of_service), size):
            batch = of_service[start : start + size]
            made = [replace_work(observed, work, successors) for work in batch]
            steps.append(make_step(made, batch[0].cause))
            replacements += made
            changes += [
                Change(service, new.new, work.image) for work, new in zip(batch, made, strict=True) if work.follows_image
            ]
    restarted = {container.id: container for found in restarts.values() for container in found}
    if restarted:
        steps.append(Step(tuple(itertools.chain.from_iterable(map(restart_container, restarted.values())))))
    return tuple(steps), replacements, tuple(changes)


def replace_work(observed: ObservedTarget, work: Work, successors: Successors) -> Replacement:
    return replace_container(
        observed, work.container, image=work.image, follows_image=work.follows_image, cause=work.cause, successors=successors
    )


def restart_container(container: ObservedContainer) -> list[Operation]:
    """Compose's `depends_on: restart: true`. Taking it back restarts it again, for what it depends on has changed again."""
    ref, cause = Ref(container.name, container.id), "it asks to be restarted with what it depends on"
    return [
        Stop(container=ref, grace=container.grace, cause=cause, undo=(Start(container=ref, cause=cause),)),
        Start(container=ref, cause=cause, undo=(Stop(container=ref, grace=container.grace, cause=cause),)),
    ]

"""Plan a redeploy: pull every image, then replace the containers one by one, those that others depend on first."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from clusters.engine import names
from clusters.engine.driver import FIRST_ATTEMPT, Intent
from clusters.engine.errors import PlanRefused
from clusters.engine.operation import Operation
from clusters.engine.platforms import differ, read_platform
from clusters.engine.references import came_from_registry, is_digest_pinned, is_image_id
from clusters.engine.standalone.container_operations import refer_to, refer_to_current
from clusters.engine.standalone.dependencies import parse_depends_on, sort_containers
from clusters.engine.standalone.inspected import InspectedContainer
from clusters.engine.standalone.joined import list_detached, refuse_restart
from clusters.engine.standalone.observed import StandaloneTarget, find_dependants, find_platform
from clusters.engine.standalone.plan import AwaitEnd, Change, Pull, StandalonePlan, Start, Step, Stop
from clusters.engine.standalone.podman import is_local_build, refuse_lost_settings
from clusters.engine.standalone.predeploy import Renewal, plan_hooks, refuse_hook_labels, remove_hooks
from clusters.engine.standalone.previous import choose_previous_images
from clusters.engine.standalone.recovery import Recovered, recover
from clusters.engine.standalone.recreate import (
    Replacement,
    Successors,
    collect_cleanup,
    find_unchanged_image,
    make_step,
    replace_container,
)
from clusters.engine.standalone.refusals import (
    refuse_after_recovery,
    refuse_missing_binds,
    refuse_missing_images,
    refuse_unrepeatable,
    refuse_untouchable,
)
from clusters.engine.standalone.rules import read_parallelism, read_pull_policy
from clusters.engine.standalone.stopped import Decision, awaits_completion, decide, is_left_when_done
from clusters.engine.tags import describe_image_choice, refuse_several_repositories, with_tag

DEPENDANT = "it shares a namespace with or is linked to a replaced container"


@dataclass
class Work:
    """A container to replace. `image`: the reference or id to create it from; a dependant keeps the image that it runs.

    `platform`: see find_foreign. `source`: see Create.
    """

    container: InspectedContainer
    image: str
    follows_image: bool
    cause: str
    platform: str = ""
    source: str = ""


def plan_redeploy(observed: StandaloneTarget, intent: Intent = FIRST_ATTEMPT) -> StandalonePlan:
    """Raises PlanRefused."""
    target = observed.target
    subject = target.name_part(target.service)
    recovered = recover(observed.containers, detached=list_detached(observed))
    chosen = [item for item in recovered.containers if is_chosen(item, target.service, intent)]
    rest = [item for item in recovered.containers if item not in chosen]
    elsewhere = recover_elsewhere(observed, recovered.containers)
    dependants = find_dependants(chosen, [*rest, *elsewhere.containers])
    refuse_untouchable([*chosen, *dependants])
    restarts = find_restarts([item.place.service for item in chosen], [item for item in rest if item not in dependants])
    title = f"redeploy {subject}{describe_image_choice(intent)}"
    recovery = (*recovered.operations, *elsewhere.operations)
    try:
        refuse_hook_labels(chosen)
        replaced = collect_keys([*chosen, *dependants])
        refuse_lost_settings([*chosen, *dependants])
        refuse_unrepeatable(observed, [*chosen, *dependants], replaced)
        refuse_missing_images(observed, dependants)
        refuse_missing_binds(observed, itertools.chain.from_iterable(restarts.values()))
        refuse_restart(observed, itertools.chain.from_iterable(restarts.values()), replaced)
    except PlanRefused as refusal:
        repair = (*remove_hooks(observed), *recovery)
        return refuse_after_recovery(refusal, StandalonePlan(title, subject, "redeploy", recovery=repair))
    try:
        references, sources, pulls, notes = choose_images(observed, chosen, intent, subject)
    except PlanRefused as refusal:
        repair = (*remove_hooks(observed), *recovery)
        return refuse_after_recovery(refusal, StandalonePlan(title, subject, "redeploy", recovery=repair))
    foreign = find_foreign(observed, chosen, references)
    works = [
        Work(
            container=item,
            image=references[item.id],
            follows_image=True,
            cause=f"redeploy of {item.place.service}",
            platform=foreign.get(item.id, ""),
            source=sources.get(item.id, ""),
        )
        for item in chosen
    ]
    works += [Work(item, find_unchanged_image(observed, item), False, DEPENDANT) for item in dependants]
    works = sort_works(works)
    decisions = decide_works(works, [item for item in rest if item not in dependants], elsewhere.containers, intent)
    steps, replacements, changes = plan_steps(observed, works, decisions, restarts)
    renewed = [work for work in works if work.follows_image]
    hooks = plan_hooks(
        observed,
        [Renewal(work.container, work.source or work.image, work.platform, decisions[work.container.id]) for work in renewed],
        intent,
    )
    missing = [item.name for item in chosen if observed.image_of(item) is None]
    return StandalonePlan(
        title=title,
        subject=subject,
        action="redeploy",
        waits=(*await_one_shots(observed.containers), *hooks.waits),
        recovery=(*hooks.recovery, *recovery),
        pulls=(*pulls, *hooks.pulls),
        hooks=tuple(hooks.operations),
        steps=steps,
        cleanup=collect_cleanup(replacements),
        leftovers=(*elsewhere.leftovers, *recovered.leftovers),
        notes=(*notes, *hooks.notes),
        warnings=tuple(f"the image of {name} no longer exists: its defaults are kept as settings" for name in missing),
        changes=changes,
        target=target,
    )


def plan_repair(observed: StandaloneTarget) -> StandalonePlan:
    """See driver.EngineDriver.plan_repair."""
    target = observed.target
    subject = target.name_part(target.service)
    recovered = recover(observed.containers, detached=list_detached(observed))
    elsewhere = recover_elsewhere(observed, recovered.containers)
    return StandalonePlan(
        title=f"repair {subject}",
        subject=subject,
        action="redeploy",
        recovery=(*remove_hooks(observed), *recovered.operations, *elsewhere.operations),
        leftovers=(*elsewhere.leftovers, *recovered.leftovers),
        target=target,
    )


def await_one_shots(containers: Sequence[InspectedContainer]) -> Iterator[AwaitEnd]:
    """Yield a wait for each one-shot that an unfinished redeploy started: a migration is never stopped for another attempt."""
    unproven = {item.temporary.base for item in containers if item.temporary and item.temporary.role == "kept"}
    for container in containers:
        is_new = container.temporary.role == "new" if container.temporary else container.own_name in unproven
        if (
            is_new
            and container.runs_now
            and is_left_when_done(container)
            and any(awaits_completion(other, container) for other in containers)
        ):
            yield AwaitEnd(container=refer_to_current(container), cause="it runs once, and others wait for its end")


def decide_works(
    works: Sequence[Work], rest: Iterable[InspectedContainer], elsewhere: Iterable[InspectedContainer], intent: Intent
) -> dict[str, Decision]:
    """Return the decisions by container id. A dependant outside of the application stays stopped if it is."""
    ids = {container.id for container in elsewhere}
    decisions = decide([work.container for work in works if work.container.id not in ids], rest, intent)
    foreign = {work.container.id: work.container.running for work in works if work.container.id in ids}
    return decisions | {key: Decision(starts=running, reason="it was stopped before") for key, running in foreign.items()}


def recover_elsewhere(observed: StandaloneTarget, ours: Iterable[InspectedContainer]) -> Recovered:
    """Recover dependants outside of the application: their recreate can be unfinished too."""
    ours = list(ours)
    bases = {names.base_name(item.own_name) for item in find_dependants(ours, observed.others)}
    unfinished = [item for item in observed.others if names.base_name(item.own_name) in bases]
    return recover(unfinished, frozenset().union(*(item.previous_ids for item in ours)), list_detached(observed))


def collect_keys(containers: Iterable[InspectedContainer]) -> frozenset[str]:
    return frozenset().union(*(container.keys for container in containers))


# Which image


def is_chosen(container: InspectedContainer, service: str, intent: Intent) -> bool:
    """`service`: see Target."""
    return service in {"", container.place.service} and (not intent.returns_to or container.place.service in intent.returns_to)


def choose_images(
    observed: StandaloneTarget, chosen: Sequence[InspectedContainer], intent: Intent, subject: str
) -> tuple[dict[str, str], dict[str, str], list[Pull], list[str]]:
    """Return, by container id, the references to redeploy from and the sources (see Create); the pulls, and notes about what
    is not pulled. Raises PlanRefused."""
    if intent.returns_to:
        return choose_previous_images(observed, chosen, intent.returns_to)
    references = {container.id: find_redeploy_reference(observed, container) for container in chosen}
    if intent.tag:
        refuse_several_repositories(subject, references.values())
        references = {key: with_tag(reference, intent.tag) for key, reference in references.items()}
    pulls, notes = plan_pulls(observed, [(container, references[container.id]) for container in chosen], intent.tag)
    return references, {}, pulls, notes


def find_redeploy_reference(observed: StandaloneTarget, container: InspectedContainer) -> str:
    """Return the reference to redeploy from. Raises PlanRefused.

    An id cannot lead to a newer image, so another container of the service has to supply the reference then.
    """
    if not is_image_id(container.image, container.image_id):
        return container.image
    siblings = [item for item in observed.containers if item.place.service == container.place.service]
    known = {item.image for item in siblings if not is_image_id(item.image, item.image_id)}
    if len(known) == 1:
        return known.pop()
    raise PlanRefused(
        f"{container.name} was created from an image ID, so its newer image cannot be found. Create it from a tag.",
        code="no_image_reference",
    )


def plan_pulls(
    observed: StandaloneTarget, wanted: Iterable[tuple[InspectedContainer, str]], tag: str = ""
) -> tuple[list[Pull], list[str]]:
    """Return a pull for each reference, and notes about those that are not pulled. `tag`: the requested one."""
    services: dict[tuple[str, str], list[InspectedContainer]] = {}
    for container, reference in wanted:
        services.setdefault((reference, find_platform(observed, container)), []).append(container)
    pulls, notes = [], []
    for (reference, platform), containers in services.items():
        policies = {policy for item in containers if (policy := read_pull_policy(item))}
        decided = decide_pull(observed, reference, platform, policies, tag)
        if isinstance(decided, str):
            notes.append(decided)
        else:
            pulls.append(decided)
    return pulls, notes


def find_foreign(
    observed: StandaloneTarget, containers: Iterable[InspectedContainer], references: Mapping[str, str]
) -> dict[str, str]:
    """Return, by container id, the platforms of containers that do not run the engine's own, or whose reference has several."""
    platforms = {container.id: find_platform(observed, container) for container in containers}
    several: dict[str, set[str]] = {}
    for key, platform in platforms.items():
        known = read_platform(observed.images.get(references[key]))
        several.setdefault(references[key], set()).update(filter(None, (platform, known)))
    return {
        key: platform
        for key, platform in platforms.items()
        if platform and (differ(platform, observed.platform) or len(several[references[key]]) > 1)
    }


def decide_pull(observed: StandaloneTarget, reference: str, platform: str, policies: set[str], tag: str) -> Pull | str:
    """Return the pull, or a note that says why there is none. `platform`: what the containers run. Raises PlanRefused."""
    known = observed.images.get(reference)
    policy = next((policy for policy in ("always", "missing", "never") if policy in policies), "")
    optional = known is not None and not came_from_registry(known, reference) and reference not in observed.shared_tags
    pull = Pull(
        reference=reference,
        optional=optional and policy != "always",
        platform=platform if differ(platform, observed.platform) else "",
        expected=platform,
        cause="a newer image may exist",
    )
    if known and differ(read_platform(known), platform):
        if policy == "never":
            what = f"{reference} is on this engine for {read_platform(known)} only, and the container runs {platform}"
            raise PlanRefused(f"{what}. Its label says that it is never pulled.", code="platform")
        return replace(pull, optional=False, cause="the engine has it for another platform")
    if policy == "never":
        return f"{reference} is not pulled: its label says never"
    if known is None:
        return replace(pull, cause="its tag was requested" if tag else "the engine does not have it")
    if policy == "always":
        return pull
    if policy == "missing":
        return f"{reference} is not pulled: the engine has it, and its label says to pull only missing images"
    if is_digest_pinned(reference):
        return f"{reference} is not pulled: the engine has it, and a digest never changes"
    is_ours_alone = not known.get("RepoDigests") and reference not in observed.shared_tags
    if is_ours_alone or is_local_build(observed.containers, reference):
        return f"{reference} is not pulled: it exists only on this engine"
    return pull


# Which order


def sort_works(works: list[Work]) -> list[Work]:
    by_container = {work.container.id: work for work in works}
    return [by_container[container.id] for container in sort_containers(work.container for work in works)]


def find_restarts(chosen: Iterable[str], rest: Sequence[InspectedContainer]) -> dict[str, list[InspectedContainer]]:
    """Return, by chosen service, the running containers that Compose would restart when that service is replaced."""
    services = set(chosen)
    found: dict[str, list[InspectedContainer]] = {}
    for container in rest:
        if not container.running or container.is_protected:
            continue
        for service, restart in parse_depends_on(container.labels.get(names.DEPENDS_ON_LABEL, "")).items():
            if restart and service in services:
                found.setdefault(service, []).append(container)
    return found


def plan_steps(
    observed: StandaloneTarget,
    works: Sequence[Work],
    decisions: Mapping[str, Decision],
    restarts: dict[str, list[InspectedContainer]],
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
            made = [replace_work(observed, work, successors, decisions[work.container.id]) for work in batch]
            steps.append(make_step(made, batch[0].cause))
            replacements += made
            changes += [
                Change(service, new.new, work.image, "" if new.decision.starts else new.decision.reason)
                for work, new in zip(batch, made, strict=True)
                if work.follows_image
            ]
    restarted = {container.id: container for found in restarts.values() for container in found}
    if restarted:
        steps.append(Step(tuple(itertools.chain.from_iterable(map(restart_dependant, restarted.values())))))
    return tuple(steps), replacements, tuple(changes)


def replace_work(observed: StandaloneTarget, work: Work, successors: Successors, decision: Decision) -> Replacement:
    return replace_container(
        observed,
        work.container,
        image=work.image,
        follows_image=work.follows_image,
        cause=work.cause,
        successors=successors,
        decision=decision,
        platform=work.platform,
        source=work.source,
    )


def restart_dependant(container: InspectedContainer) -> list[Operation]:
    """Restart for Compose's `depends_on: restart: true`. A rollback replaces the dependency again, so it restarts again too."""
    ref, cause = refer_to(container), "its depends_on restarts it with its dependency"
    return [
        Stop(container=ref, grace=container.grace, cause=cause, undo=(Start(container=ref, cause=cause),)),
        Start(container=ref, cause=cause, undo=(Stop(container=ref, grace=container.grace, cause=cause),)),
    ]

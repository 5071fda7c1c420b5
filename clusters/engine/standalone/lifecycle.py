"""The plans of stop, start, restart and delete: of an application, of one of its services, or of a single container.

Nothing is taken back here: what is stopped or gone stays so, a failure says what there is now, and the same act once more
goes on from there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from clusters.engine import names
from clusters.engine.cleaning import read_time
from clusters.engine.driver import FIRST_ATTEMPT, Act, Intent, Losses, Target
from clusters.engine.errors import PlanRefused
from clusters.engine.snapshot import ContainerSnapshot
from clusters.engine.standalone.observed import (
    CONTAINER_MODES,
    ObservedContainer,
    ObservedTarget,
    find_dependants,
    is_anonymous_volume,
    list_project_networks,
    read_joined,
    read_own_name,
)
from clusters.engine.standalone.plan import (
    EnginePlan,
    Operation,
    Ref,
    Remove,
    RemoveNetwork,
    RemoveVolume,
    Restart,
    Start,
    Step,
    Stop,
    Watch,
    put_together,
)
from clusters.engine.standalone.recovery import recover
from clusters.engine.standalone.redeploy import find_predecessors, parse_conditions
from clusters.engine.standalone.rules import read_monitor

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

JOINED = "it runs in a namespace of what is restarted before it"
AWAITED = {"service_healthy", "service_completed_successfully"}  # conditions of Compose's depends_on that take time


@dataclass(frozen=True)
class Scene:
    """What an act is about. `container`: the name of the only one, or empty. `chosen`: the containers as they are once the
    recovery is done. `rest`: all others of the engine. `before`: what the call's first attempt found, by container id."""

    observed: ObservedTarget
    act: Act
    container: str
    subject: str
    chosen: list[ObservedContainer]
    rest: list[ObservedContainer]
    recovery: tuple[Operation, ...]
    leftovers: tuple[Operation, ...]
    before: Mapping[str, ContainerSnapshot]

    @property
    def cause(self) -> str:
        return f"{self.act} of {self.subject}"

    @property
    def joining(self) -> list[ObservedContainer]:
        """Containers beside the chosen ones that run in their network, or in another namespace of theirs."""
        found = find_dependants(self.chosen, self.rest)
        return [container for container in found if shares_namespace(container) and not container.temporary]

    def make_plan(self, steps: Iterable[Step], notes: Iterable[str] = (), warnings: Iterable[str] = ()) -> EnginePlan:
        return EnginePlan(
            title=f"{self.act} {self.subject}",
            subject=self.subject,
            action=self.act,
            recovery=self.recovery,
            leftovers=self.leftovers,
            steps=tuple(steps),
            notes=tuple(notes),
            warnings=tuple(warnings),
            affected=tuple(ref(container) for container in self.chosen),
        )


def plan_act(observed: ObservedTarget, act: Act, container: str = "", intent: Intent = FIRST_ATTEMPT) -> EnginePlan:
    """`container`: the name of the only one that the act is about. Raises PlanRefused."""
    scene = set_scene(observed, act, names.base_name(container), intent)
    refuse_protected(scene)
    plans = {"stop": plan_stop, "start": plan_start, "restart": plan_restart, "delete": plan_delete}
    return plans[act](scene)


def set_scene(observed: ObservedTarget, act: Act, container: str, intent: Intent) -> Scene:
    """A delete takes whatever has the names, also what an unfinished redeploy left; all else puts that right first."""
    recovered = recover(observed.containers if act != "delete" else ())
    ours = recovered.containers if act != "delete" else observed.containers
    chosen = [item for item in ours if is_chosen(item, observed.target.service, container)]
    if container and not chosen and act != "delete":
        raise PlanRefused(f"{observed.target.application} has no container {container}.", code="not_found")
    services = intent.before.services if intent.before else {}
    before = {item.id: item for service in services.values() for item in service.containers}
    return Scene(
        observed=observed,
        act=act,
        container=container,
        subject=container or observed.target.name_part(observed.target.service),
        chosen=chosen,
        rest=[item for item in (*ours, *observed.others) if item not in chosen],
        recovery=recovered.operations,
        leftovers=recovered.leftovers,
        before=before,
    )


def is_chosen(item: ObservedContainer, service: str, container: str) -> bool:
    if container:
        return names.base_name(item.name) == container
    return service in {"", item.place.service}


def shares_namespace(container: ObservedContainer) -> bool:
    return any(read_joined(container.host_config.get(mode)) is not None for mode in CONTAINER_MODES)


def refuse_protected(scene: Scene) -> None:
    """What runs in a protected container's place is never touched, nor what such a one runs in."""
    for container in [*scene.chosen, *scene.joining]:
        if container.is_protected:
            raise PlanRefused(f"{container.name} is protected: the console runs in it, or its label says so.", code="protected")


def refuse_vanishing(scene: Scene) -> None:
    for container in scene.chosen:
        if container.auto_remove and container.runs_now:
            message = f"{container.name} is removed by its engine as soon as it stops (--rm): delete it, if that is meant."
            raise PlanRefused(message, code="auto_remove")


def refuse_paused(scene: Scene) -> None:
    for container in scene.chosen:
        if container.state == "paused":
            raise PlanRefused(f"{container.name} is paused: resume or stop it first.", code="paused")


# In which order


def sort_waves(containers: Iterable[ObservedContainer]) -> list[list[ObservedContainer]]:
    """Containers side by side, those that others depend on in an earlier wave. A circle is cut where the order meets it."""
    waiting = sorted(containers, key=lambda item: (item.place.service, item.number, item.name))
    after = find_predecessors(waiting)
    waves: list[list[ObservedContainer]] = []
    done: set[str] = set()
    while waiting:
        wave = [item for item in waiting if after[item.id] - {item.id} <= done] or waiting[:1]
        waves.append(wave)
        done.update(item.id for item in wave)
        waiting = [item for item in waiting if item not in wave]
    return waves


# Stop


def plan_stop(scene: Scene) -> EnginePlan:
    """What depends on others first."""
    refuse_vanishing(scene)
    running = [container for container in scene.chosen if container.running]
    calm = tuple(operation for operation in scene.recovery if not is_start_of_one(operation, running))
    waves = reversed(sort_waves(running))
    steps = [Step(put_together([[stop(item, scene.cause)] for item in wave], scene.cause)) for wave in waves]
    return replace(scene, recovery=calm).make_plan(steps, warnings=warn_of_lost_networks(scene))


def is_start_of_one(operation: Operation, containers: Sequence[ObservedContainer]) -> bool:
    """What an unfinished redeploy left stopped need not be started to be stopped."""
    return isinstance(operation, Start) and operation.container.id in {container.id for container in containers}


def warn_of_lost_networks(scene: Scene) -> list[str]:
    return [f"{item.name} runs in a namespace of what is to go, and loses it" for item in scene.joining if item.running]


# Start


def plan_start(scene: Scene) -> EnginePlan:
    """In the order of dependencies, waiting where one asks for another's health or end."""
    refuse_paused(scene)
    steps: list[Step] = []
    unwatched = [item for item in scene.chosen if item.running and was_stopped(scene, item)]  # by an earlier attempt
    for wave in sort_waves(item for item in scene.chosen if not item.running):
        awaited = [item for item in unwatched if is_awaited(item, wave)]
        unwatched = [item for item in unwatched if item not in awaited] + wave
        starts = put_together([[Start(container=ref(item), cause=scene.cause)] for item in wave], scene.cause)
        steps.append(Step((*watch(awaited, "what follows waits for it"), *starts)))
    steps.append(Step(watch(unwatched, scene.cause)))
    return scene.make_plan(step for step in steps if step.operations)


def was_stopped(scene: Scene, container: ObservedContainer) -> bool:
    found = scene.before.get(container.id)
    return found is not None and found.state not in {"running", "paused", "restarting"}


def is_awaited(container: ObservedContainer, wave: Iterable[ObservedContainer]) -> bool:
    place = container.place
    conditions = [
        parse_conditions(item.labels.get(names.DEPENDS_ON_LABEL, "")).get(place.service)
        for item in wave
        if item.place.application == place.application
    ]
    return bool(AWAITED.intersection(filter(None, conditions)))


def watch(containers: Sequence[ObservedContainer], cause: str) -> tuple[Operation, ...]:
    if not containers:
        return ()
    monitor = max(read_monitor(container) for container in containers)
    return (Watch(containers=tuple(ref(item) for item in containers), monitor=monitor, may_end=True, cause=cause),)


# Restart


def plan_restart(scene: Scene) -> EnginePlan:
    """What runs, one after the other, each to be well before the next; with it what runs in its namespaces, which would be
    left in those of a process that is gone. What is stopped stays so."""
    refuse_paused(scene)
    joining = [item for item in scene.joining if item.running]
    ordered = [item for wave in sort_waves([*scene.chosen, *joining]) for item in wave]
    steps: list[Step] = []
    renewed: list[ObservedContainer] = []
    for item in ordered:
        if item in joining:
            operations = renew(item) if is_outlived(item, ordered, renewed) else ()
        else:
            operations = restart(scene, item) if item.running or was_running(scene, item) else ()
        if any(not isinstance(operation, Watch) for operation in operations):
            renewed.append(item)
        steps += [Step(operations)] if operations else []
    return scene.make_plan(steps)


def was_running(scene: Scene, container: ObservedContainer) -> bool:
    """An earlier attempt has stopped it, and did not come to start it."""
    return container.id in scene.before and not was_stopped(scene, container)


def restart(scene: Scene, container: ObservedContainer) -> tuple[Operation, ...]:
    """What an earlier attempt has restarted is watched only."""
    if not container.running:
        return (Start(container=ref(container), cause=scene.cause), *watch([container], scene.cause))
    found = scene.before.get(container.id)
    was_restarted = found is not None and found.started_at not in {None, container.started_at}
    return watch([container], scene.cause) if was_restarted else renew(container, scene.cause)


def renew(container: ObservedContainer, cause: str = JOINED) -> tuple[Operation, ...]:
    return (Restart(container=ref(container), grace=container.grace, cause=cause), *watch([container], cause))


def is_outlived(item: ObservedContainer, others: Iterable[ObservedContainer], renewed: Iterable[ObservedContainer]) -> bool:
    """Whether one whose namespaces it joins is started anew before it, or was so by an earlier attempt."""
    joined = set(item.joined_containers())
    parents = [other for other in others if joined.intersection(other.keys)]
    return any(parent in renewed or parent.runs_now and is_older(item, parent) for parent in parents)


def is_older(container: ObservedContainer, other: ObservedContainer) -> bool:
    """By the moments they were started."""
    mine, others = read_time(container.started_at), read_time(other.started_at)
    return mine is not None and others is not None and mine < others


# Delete


def plan_delete(scene: Scene) -> EnginePlan:
    steps = [
        Step(put_together([discard(item, scene.cause) for item in wave], scene.cause))
        for wave in reversed(sort_waves(scene.chosen))
    ]
    remains: list[Operation] = [
        RemoveVolume(volume=volume, cause="no container is left that it was made for") for volume in find_loose_volumes(scene)
    ]
    networks = {} if scene.container or scene.observed.target.service else scene.observed.networks
    notes = []
    for network_id, name in networks.items():
        if user := next((item for item in scene.rest if name in item.networks), None):
            notes.append(f"the network {name} stays: {user.name} uses it")
        else:
            remains.append(RemoveNetwork(network=network_id, name=name, cause="Compose made it for the project"))
    if kept := sorted({name for item in scene.chosen for name in item.named_volumes}):
        notes.append(f"named volumes stay: {', '.join(kept)}")
    steps += [Step(tuple(remains))] if remains else []
    plan = scene.make_plan(steps, notes, warn_of_lost_networks(scene))
    return replace(plan, replicas=len({container.id for container in scene.chosen} | find_removed(scene).keys()))


def discard(container: ObservedContainer, cause: str) -> list[Operation]:
    operations: list[Operation] = [stop(container, cause)] if container.runs_now else []
    if container.runs_now and container.auto_remove:
        return operations
    return [*operations, Remove(container=ref(container), volumes=container.owns_anonymous_volumes, cause=cause)]


def find_removed(scene: Scene) -> dict[str, ContainerSnapshot]:
    """What an earlier attempt found, and may have removed by now, by container id."""
    return {key: item for key, item in scene.before.items() if scene.container in {"", item.name}}


def find_loose_volumes(scene: Scene) -> list[str]:
    """Also those of containers that an earlier attempt has removed already."""
    found = {volume for item in scene.chosen for volume in item.loose_volumes}
    for item in find_removed(scene).values():
        found.update(item.volumes)
    return sorted(found - {volume for item in scene.rest for volume in item.anonymous_volumes})


def read_losses(client: "EngineClient", target: Target, container: str = "") -> Losses:
    """See driver.Driver.read_losses."""
    ours: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for entry in client.list_containers():
        (ours if is_of(entry, target, names.base_name(container)) else others).append(entry)
    volumes = list_volumes(ours)
    return Losses(
        parts=tuple(sorted({names.base_name(read_own_name(entry)) for entry in ours})),
        volumes=tuple(sorted(volume for volume in volumes - list_volumes(others) if is_anonymous_volume(volume))),
        networks=() if container or target.service else tuple(list_project_networks(client, target).values()),
        kept_volumes=tuple(sorted(volume for volume in volumes if not is_anonymous_volume(volume))),
    )


def is_of(entry: Mapping[str, Any], target: Target, container: str) -> bool:
    """Whether a list entry is the target's."""
    name = read_own_name(entry)
    place = names.find_place(name, entry.get("Labels") or {})
    if place is None or (place.source, place.application) != (target.source, target.application):
        return False
    return names.base_name(name) == container if container else target.service in {"", place.service}


def list_volumes(entries: Iterable[Mapping[str, Any]]) -> set[str]:
    mounts = [mount for entry in entries for mount in entry.get("Mounts") or []]
    return {str(mount["Name"]) for mount in mounts if mount.get("Type") == "volume" and mount.get("Name")}


def stop(container: ObservedContainer, cause: str) -> Stop:
    return Stop(container=ref(container), grace=container.grace, vanishes=container.auto_remove, cause=cause)


def ref(container: ObservedContainer) -> Ref:
    return Ref(container.name, container.id)

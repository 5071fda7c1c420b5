"""Plan a stop, start, restart or delete of an application, of one of its services, or of a single container.

Acts have no rollback: stopped or deleted containers stay so, the message of a failure says what runs now, and repeating the
act continues from there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from clusters.engine import names
from clusters.engine.cleaning import read_time
from clusters.engine.driver import FIRST_ATTEMPT, Act, Intent, Losses, Target
from clusters.engine.errors import PlanRefused
from clusters.engine.operation import Operation
from clusters.engine.snapshot import ContainerSnapshot
from clusters.engine.standalone.container_operations import make_stop, make_watch, refer_to
from clusters.engine.standalone.dependencies import parse_conditions, sort_waves
from clusters.engine.standalone.inspected import CONTAINER_MODES, InspectedContainer, is_anonymous_volume, read_joined
from clusters.engine.standalone.joined import refuse_restart
from clusters.engine.standalone.observed import (
    StandaloneTarget,
    find_dependants,
    list_project_networks,
    read_own_name,
    read_plain_name,
)
from clusters.engine.standalone.plan import (
    Remove,
    RemoveNetwork,
    RemoveVolume,
    Restart,
    StandalonePlan,
    Start,
    Step,
    Watch,
    put_together,
)
from clusters.engine.standalone.predeploy import remove_hooks
from clusters.engine.standalone.recovery import recover
from clusters.engine.standalone.refusals import refuse_paused, refuse_protected
from clusters.engine.standalone.stopped import awaits_completion, is_left_when_done

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

JOINED = "it shares a namespace with a container that is restarted before it"
AWAITING = "the next containers wait for it"
AWAITED = {"service_healthy", "service_completed_successfully"}  # conditions of Compose's depends_on that take time


@dataclass(frozen=True)
class Scene:
    """The subject of an act.

    `container`: the name of the only container, or empty. `chosen`: its containers after the recovery. `rest`: all others of
    the engine. `before`: the containers that the call's first attempt found, by id.
    """

    observed: StandaloneTarget
    act: Act
    container: str
    subject: str
    chosen: list[InspectedContainer]
    rest: list[InspectedContainer]
    recovery: tuple[Operation, ...]
    leftovers: tuple[Operation, ...]
    before: Mapping[str, ContainerSnapshot]

    @property
    def cause(self) -> str:
        return f"{self.act} of {self.subject}"

    @property
    def joining(self) -> list[InspectedContainer]:
        """Return the other containers that share a network or another namespace of the chosen ones."""
        found = find_dependants(self.chosen, self.rest)
        return [container for container in found if shares_namespace(container) and not container.temporary]

    def make_plan(self, steps: Iterable[Step], notes: Iterable[str] = (), warnings: Iterable[str] = ()) -> StandalonePlan:
        return StandalonePlan(
            title=f"{self.act} {self.subject}",
            subject=self.subject,
            action=self.act,
            recovery=self.recovery,
            leftovers=self.leftovers,
            steps=tuple(steps),
            notes=tuple(notes),
            warnings=tuple(warnings),
            affected=tuple(refer_to(container) for container in self.chosen),
            target=self.observed.target,
        )


def plan_act(observed: StandaloneTarget, act: Act, container: str = "", intent: Intent = FIRST_ATTEMPT) -> StandalonePlan:
    """`container`: the name of the only container to act on, or empty. Raises PlanRefused."""
    scene = make_scene(observed, act, names.base_name(container), intent)
    refuse_protected([*scene.chosen, *scene.joining])  # an act must not touch a protected container's namespaces either
    plans = {"stop": plan_stop, "start": plan_start, "restart": plan_restart, "delete": plan_delete}
    return plans[act](scene)


def make_scene(observed: StandaloneTarget, act: Act, container: str, intent: Intent) -> Scene:
    """A delete takes every container of that name, also leftovers of an unfinished redeploy. Other acts repair those first."""
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


def is_chosen(item: InspectedContainer, service: str, container: str) -> bool:
    if container:
        return names.base_name(item.name) == container
    return service in {"", item.place.service}


def shares_namespace(container: InspectedContainer) -> bool:
    return any(read_joined(container.host_config.get(mode)) is not None for mode in CONTAINER_MODES)


def refuse_auto_removed(scene: Scene) -> None:
    for container in scene.chosen:
        if container.auto_remove and container.runs_now:
            message = f"{container.name} cannot be stopped: the engine would remove it (--rm). To remove it, delete it."
            raise PlanRefused(message, code="auto_remove")


# Stop


def plan_stop(scene: Scene) -> StandalonePlan:
    """Stop the containers that depend on others first."""
    refuse_auto_removed(scene)
    running = [container for container in scene.chosen if container.running]
    recovery = tuple(operation for operation in scene.recovery if not starts_one_of(operation, running))
    waves = reversed(sort_waves(running))
    steps = [Step(put_together([[stop_container(item, scene.cause)] for item in wave], scene.cause)) for wave in waves]
    return replace(scene, recovery=recovery).make_plan(steps, warnings=warn_of_lost_networks(scene))


def stop_container(container: InspectedContainer, cause: str) -> Operation:
    return make_stop(container, refer_to(container), cause)


def starts_one_of(operation: Operation, containers: Sequence[InspectedContainer]) -> bool:
    """Return whether the recovery starts one of the containers, which is pointless before a stop."""
    return isinstance(operation, Start) and operation.container.id in {container.id for container in containers}


def warn_of_lost_networks(scene: Scene) -> list[str]:
    lost = f"loses the namespace that it shares with a container of {scene.subject}"
    return [f"{item.name} {lost}" for item in scene.joining if item.running]


# Start


def plan_start(scene: Scene) -> StandalonePlan:
    """Start the containers in the order of dependencies. Wait where one depends on another's health or completion."""
    refuse_paused(scene.chosen)
    steps: list[Step] = []
    unwatched = [item for item in scene.chosen if item.running and was_stopped(scene, item)]  # by an earlier attempt
    for wave in sort_waves(item for item in scene.chosen if not item.running and item.state != "dead"):
        done = [item for item in unwatched if is_completion_awaited(item, wave)]
        awaited = [item for item in unwatched if is_awaited_by(item, wave) and item not in done]
        unwatched = [item for item in unwatched if item not in (*awaited, *done)] + wave
        starts = put_together([[Start(container=refer_to(item), cause=scene.cause)] for item in wave], scene.cause)
        waits = (*watch_all(awaited, AWAITING), *watch_all(done, AWAITING, must_end=True))
        steps.append(Step((*waits, *starts)))
    steps.append(Step(watch_all(unwatched, scene.cause)))
    return scene.make_plan(step for step in steps if step.operations)


def was_stopped(scene: Scene, container: InspectedContainer) -> bool:
    found = scene.before.get(container.id)
    return found is not None and found.state not in {"running", "paused", "restarting"}


def is_awaited_by(container: InspectedContainer, wave: Iterable[InspectedContainer]) -> bool:
    place = container.place
    conditions = [
        parse_conditions(item.labels.get(names.DEPENDS_ON_LABEL, "")).get(place.service)
        for item in wave
        if item.place.application == place.application
    ]
    return bool(AWAITED.intersection(filter(None, conditions)))


def is_completion_awaited(container: InspectedContainer, wave: Iterable[InspectedContainer]) -> bool:
    return is_left_when_done(container) and any(awaits_completion(item, container) for item in wave)


def watch_all(containers: Sequence[InspectedContainer], cause: str, must_end: bool = False) -> tuple[Operation, ...]:
    if not containers:
        return ()
    refs = [refer_to(item) for item in containers]
    return (make_watch(refs, containers, cause, may_end=not must_end, must_end=must_end),)


# Restart


def plan_restart(scene: Scene) -> StandalonePlan:
    """Restart the running containers one after the other, each healthy before the next.

    Restart the containers that share their namespaces too: they would stay in those of a process that no longer exists.
    """
    refuse_paused(scene.chosen)
    joining = [item for item in scene.joining if item.running]
    ordered = [item for wave in sort_waves([*scene.chosen, *joining]) for item in wave]
    steps: list[Step] = []
    restarted: list[InspectedContainer] = []
    for item in ordered:
        if item in joining:
            operations = restart_running(item, JOINED) if is_outlived(item, ordered, restarted) else ()
        else:
            operations = restart_container(scene, item) if item.running or was_running(scene, item) else ()
        if any(not isinstance(operation, Watch) for operation in operations):
            restarted.append(item)
        steps += [Step(operations)] if operations else []
    if not scene.recovery:
        started = frozenset().union(*(item.keys for item in restarted))
        refuse_restart(scene.observed, [item for item in restarted if item.running], started)
    return scene.make_plan(steps)


def was_running(scene: Scene, container: InspectedContainer) -> bool:
    """Return whether an earlier attempt found it running. If it is stopped now, that attempt did not start it again."""
    return container.id in scene.before and not was_stopped(scene, container)


def restart_container(scene: Scene, container: InspectedContainer) -> tuple[Operation, ...]:
    """Only watch a container that an earlier attempt restarted."""
    if not container.running:
        return (Start(container=refer_to(container), cause=scene.cause), *watch_all([container], scene.cause))
    found = scene.before.get(container.id)
    was_restarted = found is not None and found.started_at not in {None, container.started_at}
    return watch_all([container], scene.cause) if was_restarted else restart_running(container, scene.cause)


def restart_running(container: InspectedContainer, cause: str) -> tuple[Operation, ...]:
    restart = Restart(container=refer_to(container), grace=container.grace, paths=container.host_paths, cause=cause)
    return (restart, *watch_all([container], cause))


def is_outlived(
    item: InspectedContainer, others: Iterable[InspectedContainer], restarted: Iterable[InspectedContainer]
) -> bool:
    """Return whether a container whose namespaces it joins is restarted before it, or was restarted by an earlier attempt."""
    joined = set(item.joined_containers())
    parents = [other for other in others if joined.intersection(other.keys)]
    return any(parent in restarted or parent.runs_now and is_older(item, parent) for parent in parents)


def is_older(container: InspectedContainer, other: InspectedContainer) -> bool:
    """Return whether the container was started before the other one."""
    mine, others = read_time(container.started_at), read_time(other.started_at)
    return mine is not None and others is not None and mine < others


# Delete


def plan_delete(scene: Scene) -> StandalonePlan:
    steps = [
        Step(put_together([delete_container(item, scene.cause) for item in wave], scene.cause))
        for wave in reversed(sort_waves(scene.chosen))
    ]
    remains: list[Operation] = [
        RemoveVolume(volume=volume, cause="no remaining container needs it") for volume in find_loose_volumes(scene)
    ]
    networks = {} if scene.container or scene.observed.target.service else scene.observed.networks
    notes = []
    for network_id, name in networks.items():
        if user := next((item for item in scene.rest if name in item.networks), None):
            notes.append(f"the network {name} is kept: {user.name} uses it")
        else:
            remains.append(RemoveNetwork(network=network_id, name=name, cause="Compose created it for the project"))
    if kept := sorted({name for item in scene.chosen for name in item.named_volumes}):
        notes.append(f"named volumes are kept: {', '.join(kept)}")
    steps += [Step(tuple(remains))] if remains else []
    hooks = [] if scene.container else remove_hooks(scene.observed)
    steps = [Step(tuple(hooks)), *steps] if hooks else steps
    plan = scene.make_plan(steps, notes, warn_of_lost_networks(scene))
    return replace(plan, replicas=len({container.id for container in scene.chosen} | find_removed(scene).keys()))


def delete_container(container: InspectedContainer, cause: str) -> list[Operation]:
    operations: list[Operation] = [stop_container(container, cause)] if container.runs_now else []
    if container.runs_now and container.auto_remove:
        return operations
    return [*operations, Remove(container=refer_to(container), volumes=container.owns_anonymous_volumes, cause=cause)]


def find_removed(scene: Scene) -> dict[str, ContainerSnapshot]:
    """Return the containers that an earlier attempt found, and may have removed since, by id."""
    return {key: item for key, item in scene.before.items() if scene.container in {"", item.name}}


def find_loose_volumes(scene: Scene) -> list[str]:
    """Return the anonymous volumes that no other container uses, also those of containers that an earlier attempt removed."""
    found = {volume for item in scene.chosen for volume in item.loose_volumes}
    for item in find_removed(scene).values():
        found.update(item.volumes)
    return sorted(found - {volume for item in scene.rest for volume in item.anonymous_volumes})


def read_losses(client: "EngineClient", target: Target, container: str = "") -> Losses:
    """See driver.EngineDriver.read_losses."""
    ours: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for entry in client.list_containers():
        (ours if belongs_to_target(entry, target, names.base_name(container)) else others).append(entry)
    volumes = list_volumes(ours)
    return Losses(
        parts=tuple(sorted({names.base_name(read_plain_name(entry)) for entry in ours})),
        volumes=tuple(sorted(volume for volume in volumes - list_volumes(others) if is_anonymous_volume(volume))),
        networks=() if container or target.service else tuple(list_project_networks(client, target).values()),
        kept_volumes=tuple(sorted(volume for volume in volumes if not is_anonymous_volume(volume))),
    )


def belongs_to_target(entry: Mapping[str, Any], target: Target, container: str) -> bool:
    """Return whether a list entry belongs to the target."""
    name = read_own_name(entry)
    place = names.find_place(name, entry.get("Labels") or {})
    if place is None or (place.source, place.application) != (target.source, target.application):
        return False
    return names.base_name(read_plain_name(entry)) == container if container else target.service in {"", place.service}


def list_volumes(entries: Iterable[Mapping[str, Any]]) -> set[str]:
    mounts = [mount for entry in entries for mount in entry.get("Mounts") or []]
    return {str(mount["Name"]) for mount in mounts if mount.get("Type") == "volume" and mount.get("Name")}

"""Plan a scaling: clone the newest healthy container, or remove the newest containers."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count

from clusters.engine import names
from clusters.engine.driver import FIRST_ATTEMPT, Intent
from clusters.engine.errors import PlanRefused
from clusters.engine.operation import Operation
from clusters.engine.standalone.container_operations import make_stop, make_watch, refer_to
from clusters.engine.standalone.create_config import CreateConfig
from clusters.engine.standalone.inspected import InspectedContainer
from clusters.engine.standalone.observed import StandaloneTarget, find_dependants
from clusters.engine.standalone.plan import (
    Change,
    Connect,
    Disconnect,
    Ref,
    Remove,
    Rename,
    StandalonePlan,
    Start,
    Step,
    Stop,
    put_together,
)
from clusters.engine.standalone.podman import refuse_lost_settings
from clusters.engine.standalone.recovery import recover, remove_scaled_in
from clusters.engine.standalone.recreate import (
    NOT_HEALTHY,
    Successors,
    copy_carried_files,
    create_with_networks,
    find_unchanged_image,
    make_config,
)
from clusters.engine.standalone.refusals import refuse_after_recovery, refuse_paused, refuse_protected, refuse_unrepeatable
from clusters.engine.standalone.rules import find_exclusive

NUMBERED_NAME = re.compile(r"(?P<stem>.+[-_])(?P<number>\d+)", re.DOTALL)


def plan_scale(observed: StandaloneTarget, service: str, replicas: int, intent: Intent = FIRST_ATTEMPT) -> StandalonePlan:
    """Bring the running count to `replicas`. `intent` makes no difference here. Raises PlanRefused."""
    if service not in observed.services:
        raise PlanRefused(f"{observed.target.application} has no service {service}.", code="not_found")
    recovered = recover(observed.services[service])
    containers = sorted(recovered.containers, key=lambda item: (item.number, item.name))
    running = [container for container in containers if container.running]
    refuse_protected(containers, service)
    if not running:
        raise PlanRefused(f"{service} is stopped: start it before scaling it.", code="stopped")
    if replicas < 1:
        raise PlanRefused("A plain engine keeps at least one container of a service.", code="below_one")
    cause = f"scale {service} from {len(running)} to {replicas}"
    missing = replicas - len(running)
    plan = StandalonePlan(
        title=f"scale {observed.target.name_part(service)} from {len(running)} to {replicas}",
        subject=observed.target.name_part(service),
        action="scale",
        recovery=recovered.operations,
        leftovers=recovered.leftovers,
        replicas=replicas,
        target=observed.target,
    )
    if missing > 0:
        try:
            refuse_unrepeatable(observed, [choose_source(running)])
        except PlanRefused as refusal:
            return refuse_after_recovery(refusal, replace(plan, leftovers=()))
        steps, changes = plan_scale_out(observed, containers, running, missing, cause)
        return replace(plan, steps=steps, changes=changes)
    return replace(plan, steps=plan_scale_in(observed, containers, running, -missing, cause)) if missing else plan


# Scaling out


def plan_scale_out(
    observed: StandaloneTarget,
    containers: list[InspectedContainer],
    running: list[InspectedContainer],
    missing: int,
    cause: str,
) -> tuple[tuple[Step, ...], tuple[Change, ...]]:
    source = choose_source(running)
    refuse_lost_settings([source])
    refuse_uncloneable(source)
    waiting = [container for container in containers if container.state == "created" and not container.running][:missing]
    lanes = [start_waiting(observed, source, container) for container in waiting]
    refs = [refer_to(container) for container in waiting]
    for number, name in choose_names(observed, containers, source, missing - len(waiting)):
        refs.append(Ref(name))
        lanes.append(clone_container(observed, source, Ref(name), number, cause))
    watch = make_watch(refs, [source, *waiting], cause)
    changes = tuple(Change(source.place.service, ref, source.image) for ref in refs)
    return (Step((*put_together(lanes, cause), watch)),), changes


def choose_source(running: list[InspectedContainer]) -> InspectedContainer:
    """Return the newest healthy container, else the newest running one."""
    return max(
        running, key=lambda item: (item.is_healthy and item.health != "starting", str(item.details["Created"]), item.number)
    )


def refuse_uncloneable(source: InspectedContainer) -> None:
    exclusive = find_exclusive(source)
    if exclusive and exclusive.code in {"fixed_port", "static_address", "host_network", "shared_network"}:
        message = f"{source.name} cannot be scaled out: it {exclusive.reason}, which only one container can have."
        raise PlanRefused(message, code=exclusive.code)
    numbered = NUMBERED_NAME.fullmatch(source.name)
    is_compose = source.place.source == "compose"
    if is_compose and not (numbered and int(numbered["number"]) == source.number):
        message = f"{source.name} cannot be scaled out: it has a fixed name (container_name), which must be unique."
        raise PlanRefused(message, code="container_name")


def start_waiting(observed: StandaloneTarget, source: InspectedContainer, container: InspectedContainer) -> list[Operation]:
    """Start a container that was created, by an unfinished scaling or a user, but never started. A clone can lack networks."""
    ref, cause = refer_to(container), "created and never started"
    undo: tuple[Operation, ...] = (Stop(container=ref, grace=container.grace, cause=NOT_HEALTHY),)
    missing: list[Operation] = []
    if container.is_clone:
        undo = (*undo, Remove(container=ref, volumes=container.owns_anonymous_volumes, cause=NOT_HEALTHY))
        made = make_clone_config(observed, source, container.name, container.number)
        _, connects = create_with_networks(ref, made, cause)
        missing = [operation for operation in connects if is_missing(container, operation)]
    copied = copy_carried_files(observed, source, ref)  # Compose too copies right before a start
    return [*missing, *copied, Start(container=ref, cause=cause, undo=undo)]


def is_missing(container: InspectedContainer, operation: Operation) -> bool:
    if isinstance(operation, Connect):
        return operation.network not in container.networks
    return isinstance(operation, Disconnect) and operation.network in container.networks


def choose_names(
    observed: StandaloneTarget, containers: list[InspectedContainer], source: InspectedContainer, wanted: int
) -> Iterator[tuple[int, str]]:
    """Return free numbers above every number of the service, each with its name."""
    numbered = NUMBERED_NAME.fullmatch(source.name) if source.place.source == "compose" else None
    stem = numbered["stem"] if numbered else f"{find_original(containers).name}-"
    taken = {names.base_name(name) for name in observed.taken_names}
    found = 0
    for number in count(max(container.number for container in containers) + 1):
        if found == wanted:
            return
        if f"{stem}{number}" not in taken:
            found += 1
            yield number, f"{stem}{number}"


def find_original(containers: list[InspectedContainer]) -> InspectedContainer:
    """Return the container with the lowest number that is not a clone."""
    return min(containers, key=lambda item: (item.is_clone, item.number, item.name))


def clone_container(
    observed: StandaloneTarget, source: InspectedContainer, ref: Ref, number: int, cause: str
) -> list[Operation]:
    create, connects = create_with_networks(ref, make_clone_config(observed, source, ref.name, number), cause)
    create = replace(create, joins=Successors().find_joins(observed, source))
    undo = (Remove(container=ref, volumes=source.owns_anonymous_volumes, cause=NOT_HEALTHY),)
    stop = make_stop(source, ref, NOT_HEALTHY)
    copied = copy_carried_files(observed, source, ref)
    return [replace(create, undo=undo), *connects, *copied, Start(container=ref, cause=cause, undo=(stop,))]


def make_clone_config(observed: StandaloneTarget, source: InspectedContainer, name: str, number: int) -> CreateConfig:
    """Keep the exact image of the source: scaling is not a redeploy."""
    image = find_unchanged_image(observed, source)
    made = make_config(observed, source, Successors(), image, as_clone=True)
    made = replace(made, body={**made.body, "Labels": {**made.body["Labels"], **make_clone_labels(source, number)}})
    return replace_name_aliases(made, source.name, name)


def make_clone_labels(source: InspectedContainer, number: int) -> Mapping[str, str]:
    if source.place.source == "compose":
        return {names.NUMBER_LABEL: str(number), names.CLONE_LABEL: "true"}
    return {
        names.APPLICATION_LABEL: source.place.application,
        names.CLONE_SERVICE_LABEL: source.place.service,
        names.CLONE_NUMBER_LABEL: str(number),
        names.CLONE_LABEL: "true",
    }


def replace_name_aliases(made: CreateConfig, old_name: str, new_name: str) -> CreateConfig:
    """Replace the alias that Compose gives each container, its own name: the source's name must not also mean its clone."""

    def rename(endpoint: Mapping[str, object]) -> dict[str, object]:
        aliases = endpoint.get("Aliases")
        if not isinstance(aliases, list):
            return dict(endpoint)
        return {**endpoint, "Aliases": [new_name if alias == old_name else alias for alias in aliases]}

    endpoints = made.body["NetworkingConfig"]["EndpointsConfig"]
    networking = {"EndpointsConfig": {network: rename(endpoint) for network, endpoint in endpoints.items()}}
    connects = tuple((network, rename(endpoint)) for network, endpoint in made.connects)
    return replace(made, body={**made.body, "NetworkingConfig": networking}, connects=connects)


# Scaling in


def plan_scale_in(
    observed: StandaloneTarget,
    containers: list[InspectedContainer],
    running: list[InspectedContainer],
    surplus: int,
    cause: str,
) -> tuple[Step, ...]:
    """Remove the newest first, never the original, and none whose namespace another container uses."""
    original = find_original(containers)
    candidates = [item for item in reversed(running) if item is not original]
    others = [*observed.others, *observed.containers]
    free = [item for item in candidates if not find_dependants([item], [other for other in others if other.id != item.id])]
    surplus_containers = free[:surplus]
    if len(surplus_containers) < surplus:
        used = next((item for item in candidates if item not in free), original)
        message = f"{used.name} cannot be removed: other containers use its network or are linked to it."
        raise PlanRefused(message, code="shared_network")
    refuse_paused(surplus_containers)
    return (Step(put_together([scale_in_container(container, cause) for container in surplus_containers], cause)),)


def scale_in_container(container: InspectedContainer, cause: str) -> list[Operation]:
    """Rename the container before it is stopped: from then on its name shows that it will be removed."""
    gone = names.TemporaryName(container.name, "gone", container.short_id, container.running)
    rename = Rename(container=refer_to(container), name=str(gone), cause="marked for removal")
    return [rename, *remove_scaled_in(container, cause)]

"""The plan of a scaling: clones of the newest healthy container, or the newest ones gone."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count

from clusters.engine import names
from clusters.engine.errors import PlanRefused
from clusters.engine.standalone.create_config import CreateConfig, make_create_config
from clusters.engine.standalone.observed import ObservedContainer, ObservedTarget, find_dependants
from clusters.engine.standalone.plan import (
    Change,
    Connect,
    Disconnect,
    EnginePlan,
    Operation,
    Ref,
    Remove,
    Rename,
    Start,
    Step,
    Stop,
    Watch,
    put_together,
)
from clusters.engine.standalone.recovery import discard_gone, recover
from clusters.engine.standalone.recreate import create_with_networks, unchanged_image
from clusters.engine.standalone.rules import find_exclusive, read_monitor
from clusters.engine.wording import explain_protection

NUMBERED_NAME = re.compile(r"(?P<stem>.+[-_])(?P<number>\d+)", re.DOTALL)
NOT_WELL = "it is not well"


def plan_scale(observed: ObservedTarget, service: str, replicas: int) -> EnginePlan:
    """Bring the running count to `replicas`. Raises PlanRefused."""
    if service not in observed.services:
        raise PlanRefused(f"{observed.target.application} has no service {service}.", code="not_found")
    recovered = recover(observed.services[service])
    containers = sorted(recovered.containers, key=lambda item: (item.number, item.name))
    running = [container for container in containers if container.running]
    refuse_untouchable(service, containers, running)
    if replicas < 1:
        raise PlanRefused("A plain engine keeps at least one container of a service.", code="below_one")
    cause = f"scale {service} from {len(running)} to {replicas}"
    missing = replicas - len(running)
    steps: tuple[Step, ...] = ()
    changes: tuple[Change, ...] = ()
    if missing > 0:
        steps, changes = plan_scale_out(observed, containers, running, missing, cause)
    elif missing < 0:
        steps = plan_scale_in(observed, containers, running, -missing, cause)
    return EnginePlan(
        title=f"scale {observed.target.name_part(service)} from {len(running)} to {replicas}",
        subject=observed.target.name_part(service),
        action="scale",
        recovery=recovered.operations,
        leftovers=recovered.leftovers,
        steps=steps,
        changes=changes,
        replicas=replicas,
    )


def refuse_untouchable(service: str, containers: list[ObservedContainer], running: list[ObservedContainer]) -> None:
    if any(container.is_protected for container in containers):
        raise PlanRefused(explain_protection(service), code="protected")
    if not running:
        raise PlanRefused(f"{service} is stopped: start it before scaling it.", code="stopped")


# Out


def plan_scale_out(
    observed: ObservedTarget, containers: list[ObservedContainer], running: list[ObservedContainer], missing: int, cause: str
) -> tuple[tuple[Step, ...], tuple[Change, ...]]:
    source = choose_source(running)
    refuse_uncloneable(source)
    waiting = [container for container in containers if container.state == "created" and not container.running][:missing]
    lanes = [start_waiting(observed, source, container) for container in waiting]
    refs = [Ref(container.name, container.id) for container in waiting]
    for number, name in choose_names(observed, containers, source, missing - len(waiting)):
        refs.append(Ref(name))
        lanes.append(clone_container(observed, source, Ref(name), number, cause))
    monitor = max(read_monitor(container) for container in [source, *waiting])
    watch = Watch(containers=tuple(refs), monitor=monitor, cause=cause)
    changes = tuple(Change(source.place.service, ref, source.image) for ref in refs)
    return (Step((*put_together(lanes, cause), watch)),), changes


def choose_source(running: list[ObservedContainer]) -> ObservedContainer:
    """The newest healthy running container, else the newest that runs."""
    return max(
        running, key=lambda item: (item.is_well and item.health != "starting", str(item.details["Created"]), item.number)
    )


def refuse_uncloneable(source: ObservedContainer) -> None:
    exclusive = find_exclusive(source)
    if exclusive and exclusive.code in {"fixed_port", "static_address", "host_network", "shared_network"}:
        message = f"{source.name} {exclusive.reason}, which only one container can have: it cannot be scaled out."
        raise PlanRefused(message, code=exclusive.code)
    numbered = NUMBERED_NAME.fullmatch(source.name)
    is_compose = source.place.source == "compose"
    if is_compose and not (numbered and int(numbered["number"]) == source.number):
        message = (
            f"{source.name} has a name of its own (container_name), which only one container can have: it cannot be scaled out."
        )
        raise PlanRefused(message, code="container_name")


def start_waiting(observed: ObservedTarget, source: ObservedContainer, container: ObservedContainer) -> list[Operation]:
    """A container that an unfinished scaling, or its user, created and never started. A clone may lack some of its networks."""
    ref, cause = Ref(container.name, container.id), "created and never started"
    back: tuple[Operation, ...] = (Stop(container=ref, grace=container.grace, cause=NOT_WELL),)
    missing: list[Operation] = []
    if container.is_clone:
        back = (*back, Remove(container=ref, volumes=container.owns_anonymous_volumes, cause=NOT_WELL))
        made = make_clone_config(observed, source, container.name, container.number)
        _, connects = create_with_networks(ref, made, cause)
        missing = [operation for operation in connects if is_still_to_do(container, operation)]
    return [*missing, Start(container=ref, cause=cause, undo=back)]


def is_still_to_do(container: ObservedContainer, operation: Operation) -> bool:
    if isinstance(operation, Connect):
        return operation.network not in container.networks
    return isinstance(operation, Disconnect) and operation.network in container.networks


def choose_names(
    observed: ObservedTarget, containers: list[ObservedContainer], source: ObservedContainer, wanted: int
) -> Iterator[tuple[int, str]]:
    """Free numbers above every number the service has, with the name each gives."""
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


def find_original(containers: list[ObservedContainer]) -> ObservedContainer:
    """The lowest number."""
    return min(containers, key=lambda item: (item.is_clone, item.number, item.name))


def clone_container(observed: ObservedTarget, source: ObservedContainer, ref: Ref, number: int, cause: str) -> list[Operation]:
    create, connects = create_with_networks(ref, make_clone_config(observed, source, ref.name, number), cause)
    undo = (Remove(container=ref, volumes=source.owns_anonymous_volumes, cause=NOT_WELL),)
    stop = Stop(container=ref, grace=source.grace, vanishes=source.auto_remove, cause=NOT_WELL)
    return [replace(create, undo=undo), *connects, Start(container=ref, cause=cause, undo=(stop,))]


def make_clone_config(observed: ObservedTarget, source: ObservedContainer, name: str, number: int) -> CreateConfig:
    """It runs the very image of its source: scaling is no redeploy."""
    image = unchanged_image(observed, source)
    made = make_create_config(source, observed.image_of(source), image=image, api_version=observed.api_version, as_clone=True)
    made = replace(made, body={**made.body, "Labels": {**made.body["Labels"], **clone_labels(source, number)}})
    return replace_name_aliases(made, source.name, name)


def clone_labels(source: ObservedContainer, number: int) -> Mapping[str, str]:
    if source.place.source == "compose":
        return {names.NUMBER_LABEL: str(number), names.CLONE_LABEL: "true"}
    return {
        names.APPLICATION_LABEL: source.place.application,
        names.CLONE_SERVICE_LABEL: source.place.service,
        names.CLONE_NUMBER_LABEL: str(number),
        names.CLONE_LABEL: "true",
    }


def replace_name_aliases(made: CreateConfig, old_name: str, new_name: str) -> CreateConfig:
    """Compose gives each container its own name as an alias: the source's name must not mean its clone too."""

    def rename(endpoint: Mapping[str, object]) -> dict[str, object]:
        aliases = endpoint.get("Aliases")
        if not isinstance(aliases, list):
            return dict(endpoint)
        return {**endpoint, "Aliases": [new_name if alias == old_name else alias for alias in aliases]}

    endpoints = made.body["NetworkingConfig"]["EndpointsConfig"]
    networking = {"EndpointsConfig": {network: rename(endpoint) for network, endpoint in endpoints.items()}}
    connects = tuple((network, rename(endpoint)) for network, endpoint in made.connects)
    return replace(made, body={**made.body, "NetworkingConfig": networking}, connects=connects)


# In


def plan_scale_in(
    observed: ObservedTarget, containers: list[ObservedContainer], running: list[ObservedContainer], surplus: int, cause: str
) -> tuple[Step, ...]:
    """The newest first, never the original, and none whose namespace another container uses."""
    original = find_original(containers)
    candidates = [item for item in reversed(running) if item is not original]
    others = [*observed.others, *observed.containers]
    free = [item for item in candidates if not find_dependants([item], [other for other in others if other.id != item.id])]
    victims = free[:surplus]
    if len(victims) < surplus:
        used = next((item for item in candidates if item not in free), original)
        raise PlanRefused(f"Other containers use the network of {used.name}, or are linked to it.", code="shared_network")
    if paused := next((item for item in victims if item.state == "paused"), None):
        raise PlanRefused(f"{paused.name} is paused: resume or stop it first.", code="paused")
    return (Step(put_together([remove_victim(container, cause) for container in victims], cause)),)


def remove_victim(container: ObservedContainer, cause: str) -> list[Operation]:
    """The name first: from then on it tells that the container is to go."""
    gone = names.TemporaryName(container.name, "gone", container.short_id, container.running)
    rename = Rename(container=Ref(container.name, container.id), name=str(gone), cause="it is to go")
    return [rename, *discard_gone(container, cause)]

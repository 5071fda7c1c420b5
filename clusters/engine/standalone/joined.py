"""The containers that another one refers to: whose namespaces it joins, that it is linked to, and whose volumes it mounts.

The engine records an id or a name. By the time of a redeploy, somebody may have replaced that container or removed it.
"""

import itertools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from clusters.engine import names
from clusters.engine.errors import PlanRefused
from clusters.engine.standalone.dependencies import parse_conditions, parse_depends_on
from clusters.engine.standalone.findings import Neighbour
from clusters.engine.standalone.inspected import InspectedContainer, read_joined, shorten_id
from clusters.engine.standalone.observed import StandaloneTarget
from clusters.engine.standalone.rules import find_exclusive

WORDS = {"NetworkMode": "uses the network of", "IpcMode": "uses the IPC namespace of", "PidMode": "uses the processes of"}
LINK = "is linked to"


@dataclass(frozen=True)
class Reference:
    """`mode`: the HostConfig entry of a joined namespace; empty for a link. `key`: the name or id that the engine recorded."""

    mode: str
    key: str

    @property
    def word(self) -> str:
        return WORDS.get(self.mode, LINK)


def list_references(container: InspectedContainer) -> Iterator[Reference]:
    """Yield what the container needs at each start. Of VolumesFrom, the volumes alone are needed."""
    for mode in WORDS:
        if (joined := read_joined(container.host_config.get(mode))) is not None:
            yield Reference(mode, joined)
    for link in container.host_config.get("Links") or []:
        yield Reference("", str(link).split(":", 1)[0].lstrip("/"))


def find_neighbour(observed: StandaloneTarget, key: str) -> Neighbour | None:
    """Return the container that the engine finds under a name, an id or the beginning of one."""
    found = observed.neighbours or ()
    exact = (item for item in found if key in {item.id, item.name, names.base_name(item.name)})
    begun = (item for item in found if len(key) >= 12 and item.id.startswith(key))
    return next(itertools.chain(exact, begun), None)


def list_detached(observed: StandaloneTarget) -> frozenset[str]:
    """Return the ids of the containers that could not be started as they are."""
    return frozenset(item.id for item in (*observed.containers, *observed.others) if find_lost(observed, item, ()))


def find_lost(observed: StandaloneTarget, container: InspectedContainer, replaced: Collection[str]) -> list[Reference]:
    """Return the references to containers that no longer exist. `replaced`: the keys of those that the same plan replaces.

    A link is to a container and not to its name, so it is lost too if another container has the name now.
    """
    links = observed.lost_links.get(container.id, frozenset())
    found = []
    for item in list_references(container):
        is_missing = observed.neighbours is not None and find_neighbour(observed, item.key) is None
        if (not item.mode and item.key in links) or (is_missing and shorten_id(item.key) not in replaced):
            found.append(item)
    return found


def find_stand_in(observed: StandaloneTarget, container: InspectedContainer) -> InspectedContainer | None:
    """Return the container whose namespaces Compose would let it join: the first of the one service that it depends on.

    Compose records a joined service as a dependency that is only started, and that restarts its dependants.
    """
    label = container.labels.get(names.DEPENDS_ON_LABEL, "")
    if container.place.source != "compose" or not label:
        return None
    restarts, conditions = parse_depends_on(label), parse_conditions(label)
    joined = [service for service, restart in restarts.items() if restart and conditions.get(service) == "service_started"]
    services = joined or list(restarts)
    if len(services) != 1:
        return None
    place = (container.place.application, services[0])
    found = [item for item in observed.containers if (item.place.application, item.place.service) == place and item.runs_now]
    return min(found, key=lambda item: item.number, default=None)


def is_detached(observed: StandaloneTarget, container: InspectedContainer, replaced: Collection[str]) -> bool:
    """Return whether it lost a reference: once stopped, it cannot be started again."""
    return bool(find_lost(observed, container, replaced))


def refuse_lost(observed: StandaloneTarget, containers: Iterable[InspectedContainer], replaced: Collection[str]) -> None:
    """Raise PlanRefused for a container that could not be started again, for lack of one that it refers to."""
    for container in containers:
        lost = find_lost(observed, container, replaced)
        for item in lost:
            if (find_stand_in(observed, container) if item.mode else find_neighbour(observed, item.key)) is None:
                what = f"{container.name} {item.word} {describe_key(item.key)}, which no longer exists"
                advice = f"Create {container.name} again, so that it uses another one."
                raise PlanRefused(f"{what}: it could not be started again. {advice}", code="missing_container")
        if lost and container.short_id in replaced:
            refuse_without_return(container)
        refuse_stopped(observed, container, replaced)


def refuse_restart(
    observed: StandaloneTarget, containers: Iterable[InspectedContainer], replaced: Collection[str] = ()
) -> None:
    """Raise PlanRefused for a container that would be stopped and started as it is, and that could not be started again."""
    for container in containers:
        for item in find_lost(observed, container, replaced):
            what = f"{container.name} {item.word} {describe_key(item.key)}, which no longer exists"
            stand_in = find_stand_in(observed, container) if item.mode else find_neighbour(observed, item.key)
            advice = "Redeploy" if stand_in else "Create"
            raise PlanRefused(
                f"{what}: it could not be started again. {advice} {container.name} first.", code="missing_container"
            )
        refuse_stopped(observed, container, replaced)


def refuse_without_return(container: InspectedContainer) -> None:
    """Raise PlanRefused for a container that must be stopped first although it could not be started again for a rollback."""
    exclusive = find_exclusive(container)
    if exclusive and exclusive.code != "shared_network":
        what = f"A container that {container.name} uses no longer exists, so it could not be started again"
        advice = f"It {exclusive.reason}, so it must be stopped first. Create it again with Compose."
        raise PlanRefused(f"{what} if its successor failed. {advice}", code="missing_container")


def refuse_stopped(observed: StandaloneTarget, container: InspectedContainer, replaced: Collection[str]) -> None:
    """Raise PlanRefused where a container that it refers to does not run: no start would succeed."""
    for item in list_references(container) if container.running else ():
        other = find_neighbour(observed, item.key)
        if other and not other.runs and shorten_id(item.key) not in replaced:
            other_name = names.base_name(other.name)
            what = f"{container.name} {item.word} {other_name}, which does not run: it could not be started again"
            raise PlanRefused(f"{what}. Start {other_name} first.", code="missing_container")


def describe_key(key: str) -> str:
    return f"the container {shorten_id(key)}"

"""The order of containers: those that others depend on come first. A circle is cut where the order meets it."""

from collections.abc import Iterable

from clusters.engine import names
from clusters.engine.standalone.inspected import InspectedContainer


def parse_depends_on(text: str) -> dict[str, bool]:
    """Parse Compose's label `db:service_healthy:true,cache:service_started:false`: whether to restart along, by service."""
    found = {}
    for entry in filter(None, text.split(",")):
        service, _, rest = entry.partition(":")
        found[service] = rest.rsplit(":", 1)[-1] == "true"
    return found


def parse_conditions(text: str) -> dict[str, str]:
    """Parse the conditions of the same label, such as `service_healthy`, by service."""
    parted = [entry.split(":") for entry in text.split(",")]
    return {parts[0]: parts[1] for parts in parted if len(parts) > 1}


def find_predecessors(containers: Iterable[InspectedContainer]) -> dict[str, set[str]]:
    """Return, by container id, the ids of the containers that it depends on.

    It depends on those whose namespaces it joins or whose volumes it mounts, those that it is linked to, and those of services
    in its depends_on.
    """
    containers = list(containers)
    by_key = {key: container.id for container in containers for key in container.keys}
    members: dict[tuple[str, str], set[str]] = {}
    for container in containers:
        members.setdefault((container.place.application, container.place.service), set()).add(container.id)
    found: dict[str, set[str]] = {}
    for container in containers:
        needed = (*container.joined_containers(), *container.volume_lenders())
        found[container.id] = {by_key[key] for key in needed if key in by_key}
        for service in parse_depends_on(container.labels.get(names.DEPENDS_ON_LABEL, "")):
            found[container.id] |= members.get((container.place.application, service), set())
    return found


def sort_containers(containers: Iterable[InspectedContainer]) -> list[InspectedContainer]:
    """Return the containers one after the other: by dependency, then by service and number."""
    waiting = sort_by_place(containers)
    after = find_predecessors(waiting)
    ordered: list[InspectedContainer] = []
    done: set[str] = set()
    while waiting:
        container = next((item for item in waiting if after[item.id] - {item.id} <= done), waiting[0])
        waiting.remove(container)
        ordered.append(container)
        done.add(container.id)
    return ordered


def sort_waves(containers: Iterable[InspectedContainer]) -> list[list[InspectedContainer]]:
    """Return the containers in waves: each wave depends only on earlier ones, so its containers can go side by side."""
    waiting = sort_by_place(containers)
    after = find_predecessors(waiting)
    waves: list[list[InspectedContainer]] = []
    done: set[str] = set()
    while waiting:
        wave = [item for item in waiting if after[item.id] - {item.id} <= done] or waiting[:1]
        waves.append(wave)
        done.update(item.id for item in wave)
        waiting = [item for item in waiting if item not in wave]
    return waves


def sort_by_place(containers: Iterable[InspectedContainer]) -> list[InspectedContainer]:
    return sorted(containers, key=lambda item: (item.place.service, item.number, item.name))

"""Observe a target together with everything that only a recreate or a clone has to know."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from clusters.engine.driver import Target
from clusters.engine.errors import EngineRefused
from clusters.engine.platforms import differ, join_platform, read_platform
from clusters.engine.references import came_from_registry
from clusters.engine.standalone.copied_files import find_copied_files, parse_time
from clusters.engine.standalone.inspected import InspectedContainer
from clusters.engine.standalone.joined import list_references
from clusters.engine.standalone.observed import StandaloneTarget, find_dependants, inspect_container, observe_target

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

Answer = TypeVar("Answer")


def observe(client: "EngineClient", target: Target) -> StandaloneTarget:
    """See driver.EngineDriver.observe. Send three more requests at most for each container that can be recreated or cloned."""
    observed = observe_target(client, target)
    observed = replace(observed, lost_links=find_lost_links(client, observed))
    if target.state_only:
        return observed
    chosen = find_recreated(observed)
    restarted = [item for item in observed.containers if item not in chosen]
    binds = {item.id: missing for item in (*chosen, *restarted) if (missing := find_missing_binds(client, item))}
    networks = ask(client.list_networks) or []
    names = Counter(str(network["Name"]) for network in networks)
    return replace(
        observed,
        missing_binds=binds,
        copied={item.id: find_copied_files(client, item) for item in chosen if item.id not in binds},
        ambiguous_networks=frozenset(name for name, number in names.items() if number > 1),
        platform=read_engine_platform(client),
        shared_tags=frozenset(find_shared_tags(client, observed, chosen)),
    )


def ask(request: Callable[[], Answer]) -> Answer | None:
    """Return None if a proxy before the engine refuses the request: what it tells is seldom needed."""
    with suppress(EngineRefused):
        return request()
    return None


def find_recreated(observed: StandaloneTarget) -> list[InspectedContainer]:
    """Return the containers of the target, and those that are recreated with them."""
    service = observed.target.service
    chosen = [item for item in observed.containers if service in {"", item.place.service}]
    rest = [item for item in (*observed.containers, *observed.others) if item not in chosen]
    return [*chosen, *find_dependants(chosen, rest)]


def find_lost_links(client: "EngineClient", observed: StandaloneTarget) -> dict[str, frozenset[str]]:
    """Return, by container id, the names of linked containers that are younger than the container: it was linked to others."""
    found: dict[str, frozenset[str]] = {}
    for container in (*observed.containers, *observed.others):
        keys = {item.key for item in list_references(container) if not item.mode}
        others = {key: other for key in keys if (other := inspect_container(client, key))}
        created = parse_time(str(container.details.get("Created")))
        lost = {key for key, other in others.items() if parse_time(str(other.details.get("Created"))) > created}
        found |= {container.id: frozenset(lost)} if lost else {}
    return found


def find_missing_binds(client: "EngineClient", container: InspectedContainer) -> tuple[str, ...]:
    """Return the paths that the host does not have. The engine checks those of HostConfig.Mounts at each creation."""
    return client.find_missing_paths(container.engine_name, container.image_id, container.host_paths)


def find_shared_tags(
    client: "EngineClient", observed: StandaloneTarget, containers: Iterable[InspectedContainer]
) -> Iterator[str]:
    """Yield the references whose image has no digest only because the one of another platform got it first.

    An engine's classic store keeps one image for each digest, and the platforms of a tag have the digest of their index.
    """
    known = {item.image: image for item in containers if (image := observed.images.get(item.image))}
    nameless = {reference: image for reference, image in known.items() if not image.get("RepoDigests")}
    listed = (ask(client.list_images) or []) if nameless else []
    for reference, image in nameless.items():
        others = [entry["Id"] for entry in listed if entry["Id"] != image["Id"] and came_from_registry(entry, reference)]
        if any(differ(read_platform(client.inspect_image(other)), read_platform(image)) for other in others):
            yield reference


def read_engine_platform(client: "EngineClient") -> str:
    found = ask(client.version) or {}
    return join_platform(found.get("Os"), found.get("Arch"), None)

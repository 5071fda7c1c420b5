"""Observe the target: its containers and everything that a plan needs, at one moment."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from clusters.engine import names
from clusters.engine.driver import KeepLabel, Target
from clusters.engine.errors import TargetMissing
from clusters.engine.image_facts import read_image_facts
from clusters.engine.lifelines import find_purpose, read_inspected_exposure
from clusters.engine.platforms import read_container_platform
from clusters.engine.snapshot import ContainerSnapshot, ServiceSnapshot, Snapshot
from clusters.engine.standalone.findings import CopiedFiles, HookContainer, Neighbour
from clusters.engine.standalone.inspected import RUNNING_STATES, InspectedContainer, make_container

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient


@dataclass(frozen=True)
class StandaloneTarget:
    """Implements driver.Observation.

    `containers`: those of the application, of all services. `others`: the engine's other containers. `images`: by id and by
    reference, and those of Target.images. `networks`: a Compose project's own, names by ids; only observe_remains reads them.
    `services`: the containers by service, also temporary ones; services are sorted by name, containers by number.
    `neighbours`: every container of the engine, or None where that is not known. `hooks`: what is left of the application's own
    one-off containers.

    `surroundings.observe` adds, by container id: `lost_links`, the names that mean another container by now; `copied`;
    `missing_binds`, the host's paths that no longer exist. Also `ambiguous_networks`, the names that several networks have;
    `platform`, the engine's own; `shared_tags`, the references that came from a registry for another platform too.
    """

    target: Target
    api_version: tuple[int, int]
    containers: tuple[InspectedContainer, ...]
    others: tuple[InspectedContainer, ...] = ()
    images: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    taken_names: frozenset[str] = frozenset()
    networks: Mapping[str, str] = field(default_factory=dict)
    neighbours: tuple[Neighbour, ...] | None = None
    copied: Mapping[str, CopiedFiles] = field(default_factory=dict)
    lost_links: Mapping[str, frozenset[str]] = field(default_factory=dict)
    missing_binds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ambiguous_networks: frozenset[str] = frozenset()
    platform: str = ""
    shared_tags: frozenset[str] = frozenset()
    hooks: tuple[HookContainer, ...] = ()
    services: dict[str, list[InspectedContainer]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found: dict[str, list[InspectedContainer]] = defaultdict(list)
        for container in sorted(self.containers, key=lambda item: (item.place.service, item.number, item.name)):
            found[container.place.service].append(container)
        object.__setattr__(self, "services", dict(found))

    def merged(self, service: str) -> list[InspectedContainer]:
        """Return the service's containers, an unfinished pair as one."""
        return names.merge_pairs(self.services.get(service, []), lambda item: item.own_name, lambda item: item.runs_now)

    def current_count(self, service: str) -> int:
        return sum(container.runs_now for container in self.merged(service))

    def image_of(self, container: InspectedContainer) -> dict[str, Any] | None:
        """Return the image that the container was created from; None if the engine no longer has it."""
        return self.images.get(container.image_id)

    def list_keep_labels(self) -> list[KeepLabel]:
        return [
            KeepLabel(service, container.image, text)
            for service in self._chosen_services()
            for container in self.services[service]
            if (text := container.labels.get(names.KEEP_IMAGES_LABEL, "").strip())
        ]

    def snapshot(self) -> Snapshot:
        return Snapshot({service: self._describe_service(service) for service in self._chosen_services()})

    def _chosen_services(self) -> list[str]:
        return [name for name in self.services if self.target.service in {"", name}]

    def _describe_service(self, service: str) -> ServiceSnapshot:
        containers = self.merged(service)
        running = [container for container in containers if container.state == "running"]
        images: dict[str, int] = defaultdict(int)
        for container in running or containers:
            images[container.image_id] += 1
        digests = {digest for image in images for digest in (self.images.get(image) or {}).get("RepoDigests") or []}
        return ServiceSnapshot(
            running=len(running),
            wanted=len(containers),
            image=(running or containers)[-1].image[:512],
            images=dict(sorted(images.items())),
            digests=tuple(sorted(digests)),
            containers=tuple(snapshot_container(container) for container in containers),
            facts=self._read_facts(next(iter(images))) if len(images) == 1 else {},
        )

    def _read_facts(self, image_id: str) -> dict[str, str]:
        image = self.images.get(image_id) or {}
        return read_image_facts((image.get("Config") or {}).get("Labels"), image.get("Created"))


def snapshot_container(container: InspectedContainer) -> ContainerSnapshot:
    """`volumes`: see InspectedContainer.loose_volumes."""
    return ContainerSnapshot(
        name=names.base_name(container.own_name)[:255],
        id=container.id,
        image_id=container.image_id,
        state=container.state,
        started_at=container.started_at,
        volumes=tuple(container.loose_volumes),
    )


def observe_target(client: "EngineClient", target: Target) -> StandaloneTarget:
    """See driver.EngineDriver.observe. Send one list request, then inspect each relevant container and image.

    Inspect the other containers too, because the list does not show their shared namespaces and links. These never change,
    so containers that share nothing are skipped from then on.
    """
    entries = client.list_containers()
    client.loners.intersection_update(entry["Id"] for entry in entries)
    observed = observe_entries(client, target, entries, [item for item in entries if not is_loner(client, target, item)])
    everything = (*observed.containers, *observed.others)
    client.loners.update(item.id for item in everything if not any(item.joined_containers()))
    if not observed.containers:
        raise TargetMissing(f"The engine has no container of {target.application}.")
    if target.service and target.service not in observed.services:
        raise TargetMissing(f"{target.application} has no container of the service {target.service}.")
    return observed


def observe_remains(client: "EngineClient", target: Target) -> StandaloneTarget:
    """See driver.EngineDriver.observe_remains."""
    entries = client.list_containers()
    return replace(observe_entries(client, target, entries, entries), networks=list_project_networks(client, target))


def list_project_networks(client: "EngineClient", target: Target) -> dict[str, str]:
    """Return the networks that Compose created for the project, names by ids."""
    if target.source != "compose":
        return {}
    found = client.list_networks({"label": [f"{names.PROJECT_LABEL}={target.application}"]})
    return {str(network["Id"]): str(network["Name"]) for network in sorted(found, key=lambda network: str(network["Name"]))}


def is_loner(client: "EngineClient", target: Target, entry: dict[str, Any]) -> bool:
    """Return whether the container is not the target's and shares nothing with any other container."""
    place = names.find_place(read_own_name(entry), entry.get("Labels") or {})
    is_ours = place is not None and (place.source, place.application) == (target.source, target.application)
    return entry["Id"] in client.loners and not is_ours


def observe_entries(
    client: "EngineClient", target: Target, entries: list[dict[str, Any]], relevant: list[dict[str, Any]]
) -> StandaloneTarget:
    listed_ids = [str(entry["Id"]) for entry in entries]
    inspected = [
        replace(container, purpose=find_purpose(read_inspected_exposure(container.details), client.address, listed_ids))
        for entry in relevant
        if (container := inspect_container(client, entry["Id"]))
    ]
    ours = [item for item in inspected if (item.place.source, item.place.application) == (target.source, target.application)]
    others = [item for item in inspected if item not in ours]
    related = ours + find_dependants(ours, others)
    return StandaloneTarget(
        target=target,
        api_version=client.api_version,
        containers=tuple(ours),
        others=tuple(others),
        images=dict(inspect_images(client, related, target.images)),
        taken_names=frozenset(read_taken_names(entries)),
        neighbours=tuple(read_neighbour(entry) for entry in entries),
        hooks=tuple(find_hooks(entries, target)),
    )


def find_hooks(entries: Iterable[Mapping[str, Any]], target: Target) -> Iterator[HookContainer]:
    for entry in entries:
        name, labels = read_own_name(entry), entry.get("Labels") or {}
        place = names.find_place_of_any(name, labels) if names.is_hook(name, labels) else None
        if place and (place.source, place.application) == (target.source, target.application):
            kind, call = str(labels[names.HOOK_LABEL]), str(labels.get(names.HOOK_CALL_LABEL) or "")
            yield HookContainer(str(entry["Id"]), name, kind, call, place.service, str(entry["State"]))


def read_neighbour(entry: Mapping[str, Any]) -> Neighbour:
    return Neighbour(str(entry["Id"]), read_own_name(entry), entry.get("State") in RUNNING_STATES)


def inspect_container(client: "EngineClient", container: str) -> InspectedContainer | None:
    try:
        return make_container(client.inspect_container(container))
    except TargetMissing:  # removed after it was listed
        return None


def read_own_name(entry: Mapping[str, Any]) -> str:
    """Return the container's own name. A list entry also contains the links of others to it: `/web/db`."""
    found = [str(name).lstrip("/") for name in entry.get("Names") or []]
    return next((name for name in found if "/" not in name), str(entry["Id"])[:12])


def read_plain_name(entry: Mapping[str, Any]) -> str:
    """Return the same without what Compose puts before it, see names.own_name."""
    return names.own_name(read_own_name(entry), entry.get("Labels") or {})


def read_taken_names(entries: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield every container name on the engine, also those outside of applications."""
    for entry in entries:
        yield from (name.lstrip("/") for name in entry.get("Names") or [])


def inspect_images(
    client: "EngineClient", containers: Iterable[InspectedContainer], more: Iterable[str] = ()
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each image by its id and by its reference, and those of `more`, as far as the engine knows them."""
    containers = list(containers)
    for key in sorted({*more, *(item.image_id for item in containers), *(item.image for item in containers if item.image)}):
        try:
            yield key, client.inspect_image(key)
        except TargetMissing:
            continue


def find_platform(observed: StandaloneTarget, container: InspectedContainer) -> str:
    return read_container_platform(container.details, observed.image_of(container))


def find_dependants(chosen: Iterable[InspectedContainer], others: Iterable[InspectedContainer]) -> list[InspectedContainer]:
    """Return those of `others` that share a chosen container's namespace or are linked to it, also through each other."""
    keys = {key for container in chosen for key in container.keys}
    found: list[InspectedContainer] = []
    waiting = list(others)
    while joining := [container for container in waiting if keys.intersection(container.joined_containers())]:
        found += joining
        keys.update(key for container in joining for key in container.keys)
        waiting = [container for container in waiting if container not in joining]
    return found

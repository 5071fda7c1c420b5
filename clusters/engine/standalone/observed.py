"""The target as the engine has it at one moment."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from clusters.engine import names
from clusters.engine.driver import Target
from clusters.engine.errors import TargetMissing
from clusters.engine.references import is_image_id
from clusters.engine.snapshot import ContainerSnapshot, ServiceSnapshot, Snapshot

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

RUNNING_STATES = {"running", "paused", "restarting"}
GONE_STATES = {"removing", "dead"}
NETWORK_NAMES = {"default": "bridge"}  # what NetworkMode calls the default bridge
WHOLE_ID = re.compile(r"[0-9a-f]{64}")
CONTAINER_MODES = ("NetworkMode", "IpcMode", "PidMode")


@dataclass(frozen=True, eq=False)
class ObservedContainer:
    """An inspected container. `name` and `running` say what it is like once the recovery of an unfinished recreate is done."""

    details: dict[str, Any] = field(repr=False)
    place: names.Place
    name: str
    running: bool
    restart_policy: Mapping[str, Any]
    former_ids: frozenset[str] = frozenset()  # short ids of those that had its place in an unfinished recreate

    @property
    def id(self) -> str:
        return str(self.details["Id"])

    @property
    def short_id(self) -> str:
        return self.id[:12]

    @property
    def engine_name(self) -> str:
        """The name it has on the engine now."""
        return str(self.details["Name"]).lstrip("/")

    @property
    def state(self) -> str:
        return str(self.details["State"]["Status"])

    @property
    def started_at(self) -> str:
        """As the engine writes it; with a year of 1 where it was never started."""
        return str(self.details["State"].get("StartedAt") or "")

    @property
    def runs_now(self) -> bool:
        return self.state in RUNNING_STATES

    @property
    def is_well(self) -> bool:
        """Runs, and no health check says otherwise."""
        return self.state == "running" and self.health != "unhealthy"

    @property
    def health(self) -> str:
        return ((self.details["State"].get("Health") or {}).get("Status") or "").replace("none", "")

    @property
    def config(self) -> dict[str, Any]:
        return self.details["Config"]

    @property
    def host_config(self) -> dict[str, Any]:
        return self.details["HostConfig"]

    @property
    def labels(self) -> dict[str, str]:
        return self.config.get("Labels") or {}

    @property
    def image_id(self) -> str:
        return str(self.details["Image"])

    @property
    def image(self) -> str:
        """The reference as written at creation; our own record of it where the container had to be made from an id."""
        written = str(self.config.get("Image") or "")
        return self.labels.get(names.REFERENCE_LABEL) or written if is_image_id(written, self.image_id) else written

    @property
    def networks(self) -> dict[str, dict[str, Any]]:
        found = (self.details.get("NetworkSettings") or {}).get("Networks") or {}
        return {name: endpoint or {} for name, endpoint in found.items()}

    @property
    def network_mode(self) -> str:
        """HostConfig.NetworkMode by the network's name."""
        mode = str(self.host_config.get("NetworkMode") or "default")
        by_id = {endpoint.get("NetworkID"): name for name, endpoint in self.networks.items() if endpoint.get("NetworkID")}
        return by_id.get(mode) or NETWORK_NAMES.get(mode, mode)

    @property
    def mounts(self) -> list[dict[str, Any]]:
        return self.details.get("Mounts") or []

    @property
    def auto_remove(self) -> bool:
        return bool(self.host_config.get("AutoRemove"))

    @property
    def owns_anonymous_volumes(self) -> bool:
        """Whether removing anonymous volumes with it can only hit its own: those of VolumesFrom look the same."""
        return not self.host_config.get("VolumesFrom")

    @property
    def grace(self) -> float:
        """Seconds a stop may take."""
        seconds = self.config.get("StopTimeout")
        return 10 if seconds is None else float(seconds)

    @property
    def _volumes(self) -> list[str]:
        return sorted({str(mount["Name"]) for mount in self.mounts if mount.get("Type") == "volume" and mount.get("Name")})

    @property
    def named_volumes(self) -> list[str]:
        return [volume for volume in self._volumes if not is_anonymous_volume(volume)]

    @property
    def anonymous_volumes(self) -> list[str]:
        return [volume for volume in self._volumes if is_anonymous_volume(volume)]

    @property
    def loose_volumes(self) -> list[str]:
        """Anonymous volumes that the engine leaves when it removes the container with its own: a recreate attached them by
        name, or they may be another container's (VolumesFrom)."""
        attached = {str(bind).split(":", 1)[0] for bind in self.host_config.get("Binds") or []}
        attached |= {str(mount.get("Source")) for mount in self.host_config.get("Mounts") or []}
        return [volume for volume in self.anonymous_volumes if volume in attached or not self.owns_anonymous_volumes]

    @property
    def is_protected(self) -> bool:
        return names.is_true(self.labels.get(names.PROTECTED_LABEL)) or self.id == names.find_own_container_id()

    @property
    def is_clone(self) -> bool:
        return names.is_true(self.labels.get(names.CLONE_LABEL))

    @property
    def number(self) -> int:
        return self.place.number

    @property
    def temporary(self) -> names.TemporaryName | None:
        return names.parse_temporary_name(self.engine_name)

    def joined_containers(self) -> Iterator[str]:
        """Names and short ids of the containers whose network, IPC or process namespace it shares, or that it is linked to."""
        for mode in CONTAINER_MODES:
            if (joined := read_joined(self.host_config.get(mode))) is not None:
                yield shorten_id(joined)
        for link in self.host_config.get("Links") or []:
            yield str(link).split(":", 1)[0].lstrip("/")

    @property
    def keys(self) -> frozenset[str]:
        """What others may call it by: see joined_containers."""
        return self.former_ids | {self.short_id, self.engine_name, self.name}


def is_anonymous_volume(name: str) -> bool:
    """The engine gave it its name: 64 hex digits, as ids have."""
    return WHOLE_ID.fullmatch(name) is not None


def read_joined(mode: Any) -> str | None:
    """`abc` of `container:abc`."""
    kind, colon, container = str(mode or "").partition(":")
    return container if kind == "container" and colon else None


def shorten_id(container: str) -> str:
    """The short form of a whole id; a name stays."""
    return container[:12] if WHOLE_ID.fullmatch(container) else container


def make_container(details: dict[str, Any]) -> ObservedContainer | None:
    """None for what belongs to no application: Swarm's tasks, one-offs, and what is being removed."""
    name = str(details["Name"]).lstrip("/")
    place = names.find_place(name, details["Config"].get("Labels") or {})
    if place is None or details["State"]["Status"] in GONE_STATES:
        return None
    policy = details["HostConfig"].get("RestartPolicy") or {"Name": "no"}
    return ObservedContainer(details, place, name, details["State"]["Status"] in RUNNING_STATES, policy)


@dataclass(frozen=True)
class ObservedTarget:
    """`containers`: the application's, all services. `others`: the rest of the engine's. `images`: by id, and by reference.
    `networks`: a Compose project's own, names by ids, where a delete asked for them."""

    target: Target
    api_version: tuple[int, int]
    containers: tuple[ObservedContainer, ...]
    others: tuple[ObservedContainer, ...] = ()
    images: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    taken_names: frozenset[str] = frozenset()
    networks: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def services(self) -> dict[str, list[ObservedContainer]]:
        """Containers by service, temporary ones too; services by name, containers by number."""
        found: dict[str, list[ObservedContainer]] = defaultdict(list)
        for container in sorted(self.containers, key=lambda item: (item.place.service, item.number, item.name)):
            found[container.place.service].append(container)
        return dict(found)

    def merged(self, service: str) -> list[ObservedContainer]:
        """The service's containers, an unfinished pair as one."""
        return names.merge_pairs(self.services.get(service, []), lambda item: item.engine_name, lambda item: item.runs_now)

    def current_count(self, service: str) -> int:
        return sum(container.runs_now for container in self.merged(service))

    def image_of(self, container: ObservedContainer) -> dict[str, Any] | None:
        """The image it was made from; None when the engine has it no more."""
        return self.images.get(container.image_id)

    def snapshot(self) -> Snapshot:
        return Snapshot({service: self._describe_service(service) for service in self._chosen_services()})

    def _chosen_services(self) -> list[str]:
        return [name for name in self.services if self.target.service in {"", name}]

    def _describe_service(self, service: str) -> ServiceSnapshot:
        containers = self.merged(service)
        running = [container for container in containers if container.runs_now]
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
            containers=tuple(describe_container(container) for container in containers),
        )


def describe_container(container: ObservedContainer) -> ContainerSnapshot:
    return ContainerSnapshot(
        name=names.base_name(container.engine_name)[:255],
        id=container.id,
        image_id=container.image_id,
        state=container.state,
        started_at=container.started_at,
        volumes=tuple(container.loose_volumes),
    )


def observe_target(client: "EngineClient", target: Target) -> ObservedTarget:
    """One list request, then an inspect of each container and of each image in question.

    The other containers are inspected too: the list does not tell whose namespaces they share or what they are linked to.
    That never changes, so those that share nothing are left out from then on.
    Raises TargetMissing, EngineUnreachable, EngineRefused.
    """
    entries = client.list_containers()
    client.loners.intersection_update(entry["Id"] for entry in entries)
    observed = observe_entries(client, target, entries, [item for item in entries if not is_loner(client, target, item)])
    everything = (*observed.containers, *observed.others)
    client.loners.update(item.id for item in everything if not any(item.joined_containers()))
    if not observed.containers:
        raise TargetMissing(f"There is no container of {target.application} on the engine.")
    if target.service and target.service not in observed.services:
        raise TargetMissing(f"{target.application} has no container of the service {target.service}.")
    return observed


def observe_remains(client: "EngineClient", target: Target) -> ObservedTarget:
    """See driver.Driver.observe_remains."""
    entries = client.list_containers()
    return replace(observe_entries(client, target, entries, entries), networks=list_project_networks(client, target))


def list_project_networks(client: "EngineClient", target: Target) -> dict[str, str]:
    """Names by ids of the networks that Compose made for the project."""
    if target.source != "compose":
        return {}
    found = client.list_networks({"label": [f"{names.PROJECT_LABEL}={target.application}"]})
    return {str(network["Id"]): str(network["Name"]) for network in sorted(found, key=lambda network: str(network["Name"]))}


def is_loner(client: "EngineClient", target: Target, entry: dict[str, Any]) -> bool:
    """Whether it is neither the target's nor can have to do with it."""
    place = names.find_place(read_own_name(entry), entry.get("Labels") or {})
    is_ours = place is not None and (place.source, place.application) == (target.source, target.application)
    return entry["Id"] in client.loners and not is_ours


def observe_entries(
    client: "EngineClient", target: Target, entries: list[dict[str, Any]], in_question: list[dict[str, Any]]
) -> ObservedTarget:
    inspected = [container for entry in in_question if (container := inspect_container(client, entry["Id"]))]
    ours = [item for item in inspected if (item.place.source, item.place.application) == (target.source, target.application)]
    others = [item for item in inspected if item not in ours]
    related = ours + find_dependants(ours, others)
    return ObservedTarget(
        target=target,
        api_version=client.api_version,
        containers=tuple(ours),
        others=tuple(others),
        images=dict(inspect_images(client, related)),
        taken_names=frozenset(read_taken_names(entries)),
    )


def inspect_container(client: "EngineClient", container: str) -> ObservedContainer | None:
    try:
        return make_container(client.inspect_container(container))
    except TargetMissing:  # removed since it was listed
        return None


def read_own_name(entry: Mapping[str, Any]) -> str:
    """The list names a container also by the links of others to it: `/web/db`."""
    found = [str(name).lstrip("/") for name in entry.get("Names") or []]
    return next((name for name in found if "/" not in name), str(entry["Id"])[:12])


def read_taken_names(entries: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Every container name on the engine, also of what belongs to no application."""
    for entry in entries:
        yield from (name.lstrip("/") for name in entry.get("Names") or [])


def inspect_images(client: "EngineClient", containers: Iterable[ObservedContainer]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each distinct image id and reference that the engine knows."""
    containers = list(containers)
    for key in sorted({item.image_id for item in containers} | {item.image for item in containers if item.image}):
        try:
            yield key, client.inspect_image(key)
        except TargetMissing:
            continue


def find_dependants(chosen: Iterable[ObservedContainer], others: Iterable[ObservedContainer]) -> list[ObservedContainer]:
    """Those of `others` that share a namespace with a chosen container or are linked to it, or to such a one, and so on."""
    keys = {key for container in chosen for key in container.keys}
    found: list[ObservedContainer] = []
    waiting = list(others)
    while joining := [container for container in waiting if keys.intersection(container.joined_containers())]:
        found += joining
        keys.update(key for container in joining for key in container.keys)
        waiting = [container for container in waiting if container not in joining]
    return found

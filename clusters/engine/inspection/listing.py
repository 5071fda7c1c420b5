"""A whole engine at a glance: everything on it as applications, services and containers.

This takes four requests whatever the engine's size: version, info, containers, images; on a Swarm manager three more. A
container is inspected only where its list entry shows an image id instead of its reference, because the tag has moved, and only
once in its life: the caller remembers references by container id. The number of inspects each time is limited.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from clusters.engine.cleaning import (
    FREEZE_LABEL_LENGTH,
    IMAGE_LENGTH,
    LEAST_AGE_LABEL_LENGTH,
    NAME_LENGTH,
    TEXT_LENGTH,
    clean_text,
    is_name,
    read_time,
)
from clusters.engine.connection.podman import PODMAN_KEY, find_libpod_version
from clusters.engine.connection.sdk_errors import UNLOCK
from clusters.engine.errors import NotManager, SwarmUnavailable, TargetMissing
from clusters.engine.inspection.list_entries import read_name, read_port, recall_reference, sort_ports
from clusters.engine.inspection.listed_images import ListedImage, read_listed_image
from clusters.engine.inspection.swarm_listing import ObservedSwarm, ObservedSwarmService, observe_swarm
from clusters.engine.inspection.swarm_nodes import ObservedNode
from clusters.engine.lifelines import find_purpose, read_listed_exposure
from clusters.engine.names import (
    FREEZE_LABEL,
    LEAST_AGE_LABEL,
    PROTECTED_LABEL,
    SYSTEM_LABEL,
    base_name,
    find_own_container_id,
    find_place,
    is_true,
    merge_pairs,
    own_name,
)

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

INSPECT_LIMIT = 100  # in one observation; the rest follow with the next ones
HEALTH_WORDS = {"(healthy)": "healthy", "(unhealthy)": "unhealthy", "(health: starting)": "starting"}


@dataclass(frozen=True)
class EngineFacts:
    """The facts about an engine. `engine_name` is "Docker" or "Podman"; `swarm_role` is "manager", "worker" or empty; `time` is
    the engine's own clock, a Unix time.

    `swarm_state` is the engine's word for its part in a Swarm: inactive, active, pending, locked, error. Only a manager knows
    the `swarm_id`.
    """

    engine_id: str = ""
    engine_name: str = ""
    engine_version: str = ""
    api_version: str = ""
    hostname: str = ""
    operating_system: str = ""
    architecture: str = ""
    cpus: int = 0
    memory_bytes: int = 0
    swarm_role: str = ""
    swarm_state: str = "inactive"
    swarm_id: str = ""
    time: float = 0.0


@dataclass(frozen=True)
class ListedContainer:
    container_id: str
    name: str
    state: str
    status_text: str = ""
    health: str = ""
    image: str = ""
    image_id: str = ""
    ports: list[dict[str, Any]] = field(default_factory=list)
    addresses: dict[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    protected: bool = False
    system: bool = False
    freeze_label: str = ""
    least_age_label: str = ""

    @property
    def is_running(self) -> bool:
        return self.state == "running"


@dataclass(frozen=True)
class ObservedService:
    """The containers of one service in an application of a plain engine, by name."""

    name: str
    containers: tuple[ListedContainer, ...]
    image_digests: list[str] = field(default_factory=list)
    image_facts: dict[str, str] = field(default_factory=dict)

    mode = "replicated"
    is_idle = False

    @property
    def replicas(self) -> int:
        return len(self.containers)

    @property
    def running(self) -> int:
        return sum(container.is_running for container in self.containers)

    @property
    def newest(self) -> ListedContainer:
        return max(self.containers, key=lambda container: (container.created_at or EPOCH, container.name))

    @property
    def image(self) -> str:
        return self.newest.image

    @property
    def image_id(self) -> str:
        return self.newest.image_id

    @property
    def health(self) -> str:
        """The worst health among its running containers."""
        found = {container.health for container in self.containers if container.is_running}
        return next((word for word in ("unhealthy", "starting", "healthy") if word in found), "")

    @property
    def status(self) -> str:
        if not self.running:
            return "stopped"
        return "running" if self.running == self.replicas and self.health != "unhealthy" else "degraded"

    @property
    def ports(self) -> list[dict[str, Any]]:
        return sort_ports(port for container in self.containers for port in container.ports)

    @property
    def protected(self) -> bool:
        return any(container.protected for container in self.containers)

    @property
    def system(self) -> bool:
        return any(container.system for container in self.containers)

    @property
    def freeze_label(self) -> str:
        return self.newest.freeze_label

    @property
    def least_age_label(self) -> str:
        return self.newest.least_age_label

    @property
    def created_at(self) -> datetime | None:
        return min((container.created_at for container in self.containers if container.created_at), default=None)

    @property
    def updated_at(self) -> datetime | None:
        return max((container.created_at for container in self.containers if container.created_at), default=None)


@dataclass(frozen=True)
class ObservedApplication:
    """An application on the engine. `source` is an Application.Source."""

    source: str
    name: str
    services: tuple[ObservedService, ...] | tuple[ObservedSwarmService, ...]

    @property
    def containers(self) -> list[ListedContainer]:
        return [container for service in self.services for container in service.containers]

    @property
    def wanted(self) -> int:
        return sum(service.replicas for service in self.services)

    @property
    def running(self) -> int:
        return sum(service.running for service in self.services)

    @property
    def status(self) -> str:
        """The status of its services, without those that should not run (scaled to 0, a job that is done)."""
        found = {service.status for service in self.services if not service.is_idle} or {"stopped"}
        return found.pop() if len(found) == 1 else "degraded"

    @property
    def protected(self) -> bool:
        return any(service.protected for service in self.services)

    @property
    def system(self) -> bool:
        return any(service.system for service in self.services)

    @property
    def freeze_label(self) -> str:
        """What the labels of its services say, each text once."""
        return "; ".join(sorted({service.freeze_label for service in self.services} - {""}))[:FREEZE_LABEL_LENGTH]

    @property
    def created_at(self) -> datetime | None:
        return min((service.created_at for service in self.services if service.created_at), default=None)

    @property
    def updated_at(self) -> datetime | None:
        return max((service.updated_at for service in self.services if service.updated_at), default=None)


@dataclass(frozen=True)
class ObservedEngine:
    """Everything on an engine.

    `swarm_problem` continues "cannot be seen: ": it says why the engine's Swarm cannot be seen through it, so that stacks,
    services and nodes are unknown. It is empty otherwise, also where there is no Swarm.

    `fingerprint` is that of swarm_listing.fingerprint_tasks, or None where no Swarm was seen.
    """

    facts: EngineFacts
    applications: tuple[ObservedApplication, ...]
    nodes: tuple[ObservedNode, ...] = ()
    swarm_problem: str = ""
    fingerprint: int | None = None


EPOCH = datetime.fromtimestamp(0, UTC)


def observe_engine(client: "EngineClient", known_images: Mapping[str, str] | None = None) -> ObservedEngine:
    """Return everything on the engine. `known_images` has image references by container id, from earlier observations.

    Raises EngineError.
    """
    facts = read_engine_facts(client)
    listed = [(place, entry) for entry in client.list_containers() if (place := locate_container(entry))]
    images = {image["Id"]: read_listed_image(image) for image in client.list_images()}
    own_id = find_own_container_id()
    references = find_references(client, [entry for _, entry in listed], known_images or {})
    listed_ids = [str(entry["Id"]) for _, entry in listed]
    found = []
    for place, entry in listed:
        is_needed = bool(find_purpose(read_listed_exposure(entry), client.address, listed_ids))
        found.append((place, read_listed_container(entry, references[entry["Id"]], own_id, is_needed)))
    plain = group_applications(found, images)
    if facts.swarm_role != "manager":
        return ObservedEngine(facts, plain, swarm_problem=describe_absence(facts))
    try:
        swarm = observe_swarm(client)
    except (NotManager, SwarmUnavailable) as error:
        return ObservedEngine(facts, plain, swarm_problem=clean_text(error.message, TEXT_LENGTH))
    return ObservedEngine(facts, (*plain, *group_placed(swarm, images.values())), swarm.nodes, fingerprint=swarm.fingerprint)


def describe_absence(facts: EngineFacts) -> str:
    """Return why an engine that is not a manager cannot report on its Swarm, or "" where it is in none."""
    if facts.swarm_role == "worker":
        return "it is a worker now."
    if facts.swarm_state == "locked":
        return f"it is locked. {UNLOCK}"
    return "" if facts.swarm_state == "inactive" else f"its part in the Swarm is {facts.swarm_state}."


def group_placed(swarm: ObservedSwarm, images: Iterable[ListedImage]) -> list[ObservedApplication]:
    """`images` are the manager's own: what the images of other nodes say about themselves is not known."""
    facts = {digest.rpartition("@")[2]: image.facts for image in images for digest in image.digests}
    grouped: dict[tuple[str, str], list[ObservedSwarmService]] = defaultdict(list)
    for placed in swarm.services:
        known = [facts[digest] for name in placed.service.image_digests if (digest := name.rpartition("@")[2]) in facts]
        service = replace(placed.service, image_facts=known[0]) if known else placed.service
        grouped[placed.source, placed.application].append(service)
    return [ObservedApplication(source, name, tuple(services)) for (source, name), services in grouped.items()]


def read_engine_facts(client: "EngineClient") -> EngineFacts:
    """Raises EngineError."""
    version, info = client.version(), client.info()
    swarm = info.get("Swarm") or {}
    state = clean_text(swarm.get("LocalNodeState"), 16) or "inactive"
    role = ""
    if state == "active":
        role = "manager" if swarm.get("ControlAvailable") else "worker"
    return EngineFacts(
        engine_id=clean_text(info.get("ID"), 128),
        engine_name="Podman" if find_libpod_version(version) else "Docker",
        engine_version=clean_text(version.get("Version"), 64),
        api_version=clean_text(version.get("ApiVersion"), 16),
        hostname=clean_text(info.get("Name"), 255),
        operating_system=clean_text(info.get("OperatingSystem"), 255),
        architecture=clean_text(info.get("Architecture"), 32),
        cpus=info.get("NCPU") or 0,
        memory_bytes=info.get("MemTotal") or 0,
        swarm_role=role,
        swarm_state=state,
        swarm_id=clean_text((swarm.get("Cluster") or {}).get("ID"), 64),
        time=moment.timestamp() if (moment := read_time(info.get("SystemTime"))) else 0.0,
    )


def locate_container(entry: dict[str, Any]) -> tuple[str, str, str] | None:
    """Return source, application and service of a list entry, or None where it belongs to none.

    These are Compose's one-off containers, Swarm's tasks, those that Podman runs for its pods, and containers that are being
    removed. Labels with impossible names are ignored.
    """
    is_infra = (entry.get(PODMAN_KEY) or {}).get("IsInfra")
    if entry.get("State") == "removing" or is_infra or not entry.get("Names"):
        return None
    name = read_name(entry)
    place = find_place(name, entry.get("Labels") or {})
    if place is None:
        return None
    if is_name(place.application) and is_name(place.service):
        return place.source, place.application, place.service
    return "container", base_name(name), base_name(name)


def group_applications(
    found: Iterable[tuple[tuple[str, str, str], ListedContainer]], images: Mapping[str, ListedImage]
) -> tuple[ObservedApplication, ...]:
    """`found` has each container with its source, application and service."""
    grouped: dict[tuple[str, str], dict[str, list[ListedContainer]]] = defaultdict(lambda: defaultdict(list))
    for (source, application, service), container in found:
        grouped[source, application][service].append(container)
    return tuple(
        ObservedApplication(source, name, tuple(merge_service(*item, images) for item in sorted(services.items())))
        for (source, name), services in sorted(grouped.items())
    )


def merge_service(name: str, containers: list[ListedContainer], images: Mapping[str, ListedImage]) -> ObservedService:
    """Make a service. The old and the new container of a recreate in progress count as one, under the final name."""
    merged = merge_pairs(containers, lambda container: container.name, lambda container: container.is_running)
    named = sorted((replace(container, name=base_name(container.name)) for container in merged), key=lambda c: c.name)
    service = ObservedService(name, tuple(named))
    image = images.get(service.newest.image_id, ListedImage())
    return replace(service, image_digests=image.digests, image_facts=image.facts)


def read_listed_container(entry: dict[str, Any], image: str, own_id: str, is_needed: bool = False) -> ListedContainer:
    """`is_needed`: the console lives by it (clusters.engine.lifelines)."""
    labels = entry.get("Labels") or {}
    status_text = clean_text(entry.get("Status"), 255)
    own = bool(own_id) and entry["Id"].startswith(own_id)
    networks = (entry.get("NetworkSettings") or {}).get("Networks") or {}
    return ListedContainer(
        container_id=entry["Id"][:64],
        name=own_name(read_name(entry), labels),
        state=clean_text(entry.get("State"), 16),
        status_text=status_text,
        health=next((health for word, health in HEALTH_WORDS.items() if word in status_text), ""),
        image=clean_text(image, IMAGE_LENGTH),
        image_id=clean_text(entry.get("ImageID"), 80),
        ports=sort_ports(read_port(port) for port in entry.get("Ports") or [] if port.get("PublicPort")),
        addresses={
            clean_text(name, NAME_LENGTH): address
            for name, network in sorted(networks.items())
            if (address := (network or {}).get("IPAddress") or (network or {}).get("GlobalIPv6Address"))
        },
        created_at=datetime.fromtimestamp(entry.get("Created") or 0, UTC),
        protected=own or is_needed or is_true(labels.get(PROTECTED_LABEL)),
        system=own or is_true(labels.get(SYSTEM_LABEL)),
        freeze_label=clean_text(labels.get(FREEZE_LABEL), FREEZE_LABEL_LENGTH),
        least_age_label=clean_text(labels.get(LEAST_AGE_LABEL), LEAST_AGE_LABEL_LENGTH),
    )


def find_references(
    client: "EngineClient", entries: Iterable[dict[str, Any]], known_images: Mapping[str, str]
) -> dict[str, str]:
    """Return the references that containers were created from, by container id; they never change. "" where not known yet."""
    references = {entry["Id"]: recall_reference(entry, known_images) for entry in entries}
    unknown = [container_id for container_id, reference in references.items() if not reference]
    for container_id in unknown[:INSPECT_LIMIT]:
        with suppress(TargetMissing):  # removed since it was listed
            references[container_id] = client.inspect_container(container_id)["Config"]["Image"]
    return references

"""A Swarm at a glance, as one of its managers sees it: services with their tasks, and nodes.

Three requests whatever its size. Of each slot the newest ended tasks are kept, and of a service no more than a bounded
number: Swarm can be told to remember thousands.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from clusters.engine.cleaning import (
    IMAGE_LENGTH,
    LARGEST_SIZE,
    NAME_LENGTH,
    TEXT_LENGTH,
    clean_count,
    clean_labels,
    clean_text,
    read_time,
)
from clusters.engine.names import PROTECTED_LABEL, SYSTEM_LABEL, find_own_container_id, is_true
from clusters.engine.references import repository_of
from clusters.engine.swarm.stack_labels import MODES, locate_services

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

# What Swarm can want of a task that is not over. Complete: a job's.
WANTED_STATES = ("ready", "running", "complete")
ENDED_STATES = frozenset({"complete", "failed", "rejected", "shutdown", "remove", "orphaned"})
FAILED_STATES = frozenset({"failed", "rejected", "orphaned"})
PAST_OF_SLOT = 5
PAST_OF_SERVICE = 500

JOBS = frozenset({"replicated-job", "global-job"})
SECOND = 1_000_000_000  # the engine's durations are nanoseconds
UPDATE_DEFAULTS = {"Parallelism": 1, "Delay": 0, "Monitor": 5 * SECOND, "MaxFailureRatio": 0}


@dataclass(frozen=True)
class ObservedNode:
    node_id: str
    hostname: str
    address: str = ""
    role: str = "worker"
    leader: bool = False
    reachability: str = ""
    availability: str = "active"
    state: str = "unknown"
    state_message: str = ""
    engine_version: str = ""
    operating_system: str = ""
    architecture: str = ""
    cpus: int = 0
    memory_bytes: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    task_count: int = 0


@dataclass(frozen=True)
class ObservedTask:
    """As models.Task."""

    task_id: str
    slot: int
    node_id: str
    node_name: str
    state: str
    desired_state: str
    message: str = ""
    error: str = ""
    exit_code: int | None = None
    image: str = ""
    container_id: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def place(self) -> tuple[int, str]:
        """Its slot, or its node's id where the service has one task a node."""
        return (self.slot, "" if self.slot else self.node_id)

    @property
    def is_past(self) -> bool:
        return self.desired_state not in WANTED_STATES or self.state in ENDED_STATES


@dataclass(frozen=True)
class ObservedSwarmService:
    """A service as models.Service has it, with those of its tasks that are kept.

    `replicas`: tasks that should run now. For a job those are not yet done, so that nothing is missing of one that is.
    `running`: slots (of a global service: nodes) with a task that is wanted, runs, and is not on a node that is down.
    """

    name: str
    swarm_id: str
    mode: str
    replicas: int
    running: int
    tasks: tuple[ObservedTask, ...] = ()
    image: str = ""
    image_digests: list[str] = field(default_factory=list)
    ports: list[dict[str, Any]] = field(default_factory=list)
    update_state: str = ""
    update_message: str = ""
    update_started_at: datetime | None = None
    last_error: str = ""
    update_config: dict[str, Any] = field(default_factory=dict)
    rollback_config: dict[str, Any] = field(default_factory=dict)
    protected: bool = False
    system: bool = False
    created_at: datetime | None = None
    updated_at: datetime | None = None

    image_id = ""  # nodes of different architectures have different ones
    health = ""  # Swarm lets a task run only once it is healthy, and ends one that is not any more
    containers = ()

    @property
    def status(self) -> str:
        if self.is_idle:
            return "stopped"
        return "running" if self.running >= self.replicas else "degraded"

    @property
    def is_idle(self) -> bool:
        """Nothing of it should run: scaled to 0, a job that is done, or no node that it may run on."""
        return self.replicas == 0 and self.running == 0


@dataclass(frozen=True)
class Placed:
    """A service with the application that it is a part of."""

    source: Literal["stack", "service"]
    application: str
    service: ObservedSwarmService


@dataclass(frozen=True)
class ObservedSwarm:
    services: tuple[Placed, ...]
    nodes: tuple[ObservedNode, ...]
    fingerprint: int


def observe_swarm(client: "EngineClient") -> ObservedSwarm:
    """Everything on the Swarm. Raises NotManager, SwarmUnavailable, EngineError."""
    services, tasks, nodes = client.list_services(), client.list_tasks(), client.list_nodes()
    hostnames = {node["ID"]: read_hostname(node) for node in nodes}
    down = {node["ID"] for node in nodes if read_state(node) == "down"}
    tasks_of: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for task in tasks:
        tasks_of[task.get("ServiceID") or ""].append(task)
    places = locate_services(services)
    own_id = find_own_container_id()
    placed = (
        Placed(
            place.source, place.application, read_service(place.name, service, tasks_of[service["ID"]], hostnames, down, own_id)
        )
        for service, place in zip(services, places, strict=True)
    )
    return ObservedSwarm(
        services=tuple(sorted(placed, key=lambda item: (item.source, item.application, item.service.name))),
        nodes=read_nodes(nodes, tasks),
        fingerprint=fingerprint_tasks(tasks),
    )


def look_at_tasks(client: "EngineClient") -> int:
    """The fingerprint alone, in one small request: containers on other nodes cause no event here. Raises as observe_swarm."""
    return fingerprint_tasks(client.list_tasks({"desired-state": list(WANTED_STATES)}))


def fingerprint_tasks(tasks: Iterable[Mapping[str, Any]]) -> int:
    """Another number whenever something about a wanted task is another."""
    return hash(frozenset((task["ID"], task["Version"]["Index"]) for task in tasks if task["DesiredState"] in WANTED_STATES))


# Services


def read_service(
    name: str,
    service: Mapping[str, Any],
    tasks: list[dict[str, Any]],
    hostnames: Mapping[str, str],
    down: set[str],
    own_id: str,
) -> ObservedSwarmService:
    """`tasks`: all of the service. `down`: the nodes that are."""
    spec = service["Spec"]
    template = spec["TaskTemplate"].get("ContainerSpec") or {}
    labels = [spec.get("Labels") or {}, template.get("Labels") or {}]
    mode = next((mode for word, mode in MODES.items() if word in spec["Mode"]), "replicated")
    current = [task for task in tasks if is_of_this_run(task, service)]
    replicas, running = count_replicas(mode, spec["Mode"], current, down)
    image, digests = split_image(clean_text(template.get("Image"), IMAGE_LENGTH))
    update = service.get("UpdateStatus") or {}
    update_state = clean_text(update.get("State"), 24)
    is_own = bool(own_id) and any((read_container_id(task) or "-").startswith(own_id) for task in tasks)
    observed = sorted((read_task(task, hostnames) for task in tasks), key=created_last_first, reverse=True)
    return ObservedSwarmService(
        name=name,
        swarm_id=clean_text(service["ID"], 64),
        mode=mode,
        replicas=replicas,
        running=running,
        tasks=keep_tasks(observed),
        image=image,
        image_digests=digests,
        ports=read_ports(service, current),
        update_state=update_state,
        update_message=clean_text(update.get("Message"), TEXT_LENGTH),
        update_started_at=read_time(update.get("StartedAt")),
        last_error="" if running >= replicas and "paused" not in update_state else find_last_error(current, spec),
        update_config={} if mode in JOBS else read_update_config(spec.get("UpdateConfig")),
        rollback_config={} if mode in JOBS else read_update_config(spec.get("RollbackConfig")),
        protected=is_own or any(is_true(found.get(PROTECTED_LABEL)) for found in labels),
        system=is_own or any(is_true(found.get(SYSTEM_LABEL)) for found in labels),
        created_at=read_time(service.get("CreatedAt")),
        updated_at=max((task.created_at for task in observed if task.created_at), default=read_time(service.get("UpdatedAt"))),
    )


def is_of_this_run(task: Mapping[str, Any], service: Mapping[str, Any]) -> bool:
    """False for a task of an earlier run of a job."""
    status = service.get("JobStatus")
    return not status or (task.get("JobIteration") or {}).get("Index", 0) == (status.get("JobIteration") or {}).get("Index", 0)


def count_replicas(mode: str, spec: Mapping[str, Any], tasks: Collection[Mapping[str, Any]], down: set[str]) -> tuple[int, int]:
    """Tasks that should run, and places where one does. `spec` is the service's Mode."""
    wanted = [task for task in tasks if task["DesiredState"] in WANTED_STATES and task.get("NodeID") not in down]
    state_of = [(place_of(task), read_task_state(task)) for task in wanted]
    running = {place for place, state in state_of if state == "running"}
    done = {place for place, state in state_of if state == "complete"}
    places = {place for place, _ in state_of}
    match mode:
        case "replicated":
            return clean_count((spec["Replicated"] or {}).get("Replicas", 1)), len(running)
        case "replicated-job":
            job = spec["ReplicatedJob"] or {}
            at_once = clean_count(job.get("MaxConcurrent", 1))
            left = clean_count(job.get("TotalCompletions", at_once)) - len(done)
            return max(min(at_once, left), 0), len(running - done)
        case "global-job":
            failed = {place_of(task) for task in tasks if read_task_state(task) in FAILED_STATES}
            return len((places | failed) - done), len(running - done)
    return len(places), len(running)


def place_of(task: Mapping[str, Any]) -> int | str:
    return task.get("Slot") or task.get("NodeID") or task["ID"]


def split_image(reference: str) -> tuple[str, list[str]]:
    """The reference without the digest that was resolved for it, and `name@sha256:…`. One without a tag is its digest."""
    name, at, digest = reference.partition("@")
    if not at:
        return reference, []
    has_tag = ":" in name.rpartition("/")[2]
    return (name if has_tag else reference), [f"{repository_of(reference)}@{digest}"]


def read_ports(service: Mapping[str, Any], tasks: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Published ports. One that each node chooses for itself (mode host) is told by the tasks alone."""
    listed = list((service.get("Endpoint") or {}).get("Ports") or [])
    for task in tasks:
        if read_task_state(task) == "running":
            listed += ((task.get("Status") or {}).get("PortStatus") or {}).get("Ports") or []
    unique = {
        (
            clean_count(port.get("TargetPort")),
            clean_text(port.get("Protocol"), 8),
            clean_count(port.get("PublishedPort")),
            clean_text(port.get("PublishMode"), 8),
        )
        for port in listed
        if port.get("PublishedPort")
    }
    keys = ("container", "protocol", "host", "mode")
    return [dict(zip(keys, port, strict=True)) for port in sorted(unique)]


def find_last_error(tasks: Iterable[Mapping[str, Any]], spec: Mapping[str, Any]) -> str:
    """Of the newest task of the present spec that has failed or cannot be placed."""
    errors = [
        (read_time(status.get("Timestamp")), clean_text(status.get("Err"), TEXT_LENGTH))
        for task in tasks
        if is_of_spec(task, spec) and (status := task.get("Status") or {}).get("Err")
        if status.get("State") in FAILED_STATES or (status.get("State") == "pending" and task["DesiredState"] in WANTED_STATES)
    ]
    return max(((moment, error) for moment, error in errors if moment), default=(None, ""))[1]


def is_of_spec(task: Mapping[str, Any], spec: Mapping[str, Any]) -> bool:
    def key(template: Mapping[str, Any]) -> tuple[int, str]:
        return template.get("ForceUpdate") or 0, (template.get("ContainerSpec") or {}).get("Image", "")

    return key(task.get("Spec") or {}) == key(spec["TaskTemplate"])


def read_update_config(config: Mapping[str, Any] | None) -> dict[str, Any]:
    """As models.Service.update_config, with Swarm's own defaults where nothing is set."""
    found = UPDATE_DEFAULTS | dict(config or {})
    return {
        "parallelism": clean_count(found["Parallelism"]),
        "order": clean_text(found.get("Order"), 16) or "stop-first",
        "delay": to_seconds(found["Delay"]),
        "monitor": to_seconds(found["Monitor"]),
        "failure_action": clean_text(found.get("FailureAction"), 16) or "pause",
        "max_failure_ratio": round(float(found["MaxFailureRatio"] or 0), 6),  # Swarm keeps 32 bits of it
    }


def to_seconds(nanoseconds: Any) -> float:
    seconds = clean_count(nanoseconds, LARGEST_SIZE) / SECOND
    return int(seconds) if seconds.is_integer() else seconds


# Tasks


def read_task(task: Mapping[str, Any], hostnames: Mapping[str, str]) -> ObservedTask:
    status = task.get("Status") or {}
    state = read_task_state(task)
    container = status.get("ContainerStatus") or {}
    has_ended = state in ENDED_STATES and bool(container.get("ContainerID"))
    node_id = clean_text(task.get("NodeID"), 64)
    return ObservedTask(
        task_id=clean_text(task["ID"], 64),
        slot=clean_count(task.get("Slot")),
        node_id=node_id,
        node_name=hostnames.get(node_id, ""),
        state=state,
        desired_state=clean_text(task.get("DesiredState"), 16),
        message=clean_text(status.get("Message"), TEXT_LENGTH),
        error=clean_text(status.get("Err"), TEXT_LENGTH),
        exit_code=clean_count(container.get("ExitCode")) if has_ended else None,
        image=split_image(clean_text(((task.get("Spec") or {}).get("ContainerSpec") or {}).get("Image"), IMAGE_LENGTH))[0],
        container_id=clean_text(container.get("ContainerID"), 64),
        created_at=read_time(task.get("CreatedAt")),
        updated_at=read_time(status.get("Timestamp")),
    )


def read_task_state(task: Mapping[str, Any]) -> str:
    return clean_text((task.get("Status") or {}).get("State"), 16)


def read_container_id(task: Mapping[str, Any]) -> str:
    return ((task.get("Status") or {}).get("ContainerStatus") or {}).get("ContainerID") or ""


def created_last_first(task: ObservedTask) -> tuple[float, str]:
    return task.created_at.timestamp() if task.created_at else 0.0, task.task_id


def keep_tasks(tasks: Iterable[ObservedTask]) -> tuple[ObservedTask, ...]:
    """All that are not over, and a bounded number of those that are. `tasks`: the newest first."""
    present: list[ObservedTask] = []
    past: list[ObservedTask] = []
    for task in tasks:
        (past if task.is_past else present).append(task)
    return (*present, *islice(newest_of_slots(past), PAST_OF_SERVICE))


def newest_of_slots(past: Iterable[ObservedTask]) -> Iterable[ObservedTask]:
    counts: dict[tuple[int, str], int] = defaultdict(int)
    for task in past:
        counts[task.place] += 1
        if counts[task.place] <= PAST_OF_SLOT:
            yield task


# Nodes


def read_nodes(nodes: Iterable[Mapping[str, Any]], tasks: Iterable[Mapping[str, Any]]) -> tuple[ObservedNode, ...]:
    running: dict[str, int] = defaultdict(int)
    for task in tasks:
        if task["DesiredState"] in WANTED_STATES and read_task_state(task) == "running":
            running[task.get("NodeID") or ""] += 1
    return tuple(read_node(node, running[node["ID"]]) for node in nodes)


def read_node(node: Mapping[str, Any], task_count: int) -> ObservedNode:
    spec, status = node.get("Spec") or {}, node.get("Status") or {}
    description = node.get("Description") or {}
    platform, resources = description.get("Platform") or {}, description.get("Resources") or {}
    manager = node.get("ManagerStatus") or {}
    state = read_state(node)
    return ObservedNode(
        node_id=clean_text(node["ID"], 64),
        hostname=read_hostname(node),
        address=clean_text(status.get("Addr"), NAME_LENGTH),
        role=clean_text(spec.get("Role"), 12) or "worker",
        leader=manager.get("Leader") is True,
        reachability=clean_text(manager.get("Reachability"), 16),
        availability=clean_text(spec.get("Availability"), 12) or "active",
        state=state,
        state_message=clean_text(status.get("Message"), TEXT_LENGTH),
        engine_version=clean_text((description.get("Engine") or {}).get("EngineVersion"), 64),
        operating_system=clean_text(platform.get("OS"), 64),
        architecture=clean_text(platform.get("Architecture"), 32),
        cpus=clean_count((resources.get("NanoCPUs") or 0) // SECOND),
        memory_bytes=clean_count(resources.get("MemoryBytes"), LARGEST_SIZE),
        labels=clean_labels(spec.get("Labels")),
        task_count=0 if state == "down" else task_count,
    )


def read_hostname(node: Mapping[str, Any]) -> str:
    """A node that has never been up has none."""
    return clean_text((node.get("Description") or {}).get("Hostname"), NAME_LENGTH) or clean_text(node["ID"], 12)


def read_state(node: Mapping[str, Any]) -> str:
    return clean_text((node.get("Status") or {}).get("State"), 16) or "unknown"

"""The services of a Swarm at a glance with their tasks, and its nodes, as one of its managers reports them.

This takes three requests, whatever the Swarm's size. Only the newest ended tasks of each slot are kept, and a bounded number
for each service: Swarm can be configured to remember thousands.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from clusters.engine.cleaning import (
    FREEZE_LABEL_LENGTH,
    IMAGE_LENGTH,
    LARGEST_SIZE,
    LEAST_AGE_LABEL_LENGTH,
    TEXT_LENGTH,
    clean_count,
    clean_text,
    read_time,
)
from clusters.engine.inspection.swarm_nodes import ObservedNode, read_hostname, read_node_state, read_nodes
from clusters.engine.inspection.swarm_tasks import (
    FAILED_TASK_STATES,
    WANTED_STATES,
    ObservedTask,
    keep_tasks,
    place_of_task,
    read_task,
    read_task_container,
    read_task_state,
    sort_newest_first,
    split_image,
)
from clusters.engine.names import FREEZE_LABEL, LEAST_AGE_LABEL, PROTECTED_LABEL, SYSTEM_LABEL, find_own_container_id, is_true
from clusters.engine.swarm.stack_labels import MODES, is_own_job, locate_services

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

JOBS = frozenset({"replicated-job", "global-job"})
SECOND = 1_000_000_000  # the engine's durations are nanoseconds
UPDATE_DEFAULTS = {"Parallelism": 1, "Delay": 0, "Monitor": 5 * SECOND, "MaxFailureRatio": 0}


@dataclass(frozen=True)
class ObservedSwarmService:
    """A service with the fields of models.Service, and those of its tasks that are kept.

    `replicas` is the number of tasks that should run now. For a job, only tasks that are not done yet count, so that nothing
    is missing from a finished job. `running` is the number of slots (for a global service: nodes) with a task that is wanted,
    runs, and is not on a node that is down.
    """

    name: str
    swarm_id: str
    mode: str
    replicas: int
    running: int
    tasks: tuple[ObservedTask, ...] = ()
    image: str = ""
    image_digests: list[str] = field(default_factory=list)
    image_facts: dict[str, str] = field(default_factory=dict)
    ports: list[dict[str, Any]] = field(default_factory=list)
    update_state: str = ""
    update_message: str = ""
    update_started_at: datetime | None = None
    last_error: str = ""
    update_config: dict[str, Any] = field(default_factory=dict)
    rollback_config: dict[str, Any] = field(default_factory=dict)
    protected: bool = False
    system: bool = False
    freeze_label: str = ""
    least_age_label: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None

    image_id = ""  # nodes of different architectures have different ones
    health = ""  # Swarm lets a task run only once it is healthy, and ends a task that becomes unhealthy
    containers = ()

    @property
    def status(self) -> str:
        if self.is_idle:
            return "stopped"
        return "running" if self.running >= self.replicas else "degraded"

    @property
    def is_idle(self) -> bool:
        """No task should run: the service is scaled to 0, its job is done, or no node can run it."""
        return self.replicas == 0 and self.running == 0


@dataclass(frozen=True)
class PlacedService:
    """A service with the application that it belongs to."""

    source: Literal["stack", "service"]
    application: str
    service: ObservedSwarmService


@dataclass(frozen=True)
class ObservedSwarm:
    services: tuple[PlacedService, ...]
    nodes: tuple[ObservedNode, ...]
    fingerprint: int


def observe_swarm(client: "EngineClient") -> ObservedSwarm:
    """Read everything on the Swarm. Raises NotManager, SwarmUnavailable, EngineError."""
    listed, tasks, nodes = client.list_services(), client.list_tasks(), client.list_nodes()
    services = [service for service in listed if not is_own_job(service)]
    hostnames = {node["ID"]: read_hostname(node) for node in nodes}
    down = {node["ID"] for node in nodes if read_node_state(node) == "down"}
    if hostnames:  # a manager can list tasks of a node that was removed, as they were last seen
        down |= {task["NodeID"] for task in tasks if task.get("NodeID")} - hostnames.keys()
    tasks_of: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for task in tasks:
        tasks_of[task.get("ServiceID") or ""].append(task)
    places = locate_services(services)
    own_id = find_own_container_id()
    placed = (
        PlacedService(
            place.source,
            place.application,
            read_swarm_service(place.name, service, tasks_of[service["ID"]], hostnames, down, own_id),
        )
        for service, place in zip(services, places, strict=True)
    )
    return ObservedSwarm(
        services=tuple(sorted(placed, key=lambda item: (item.source, item.application, item.service.name))),
        nodes=read_nodes(nodes, tasks),
        fingerprint=fingerprint_tasks(tasks),
    )


def look_at_tasks(client: "EngineClient") -> int:
    """Read only the fingerprint, in one small request: containers on other nodes cause no event here.

    Raises NotManager, SwarmUnavailable, EngineError.
    """
    return fingerprint_tasks(client.list_tasks({"desired-state": list(WANTED_STATES)}))


def fingerprint_tasks(tasks: Iterable[Mapping[str, Any]]) -> int:
    """Return a number that changes whenever something about a wanted task changes."""
    return hash(frozenset((task["ID"], task["Version"]["Index"]) for task in tasks if task["DesiredState"] in WANTED_STATES))


# Services


def read_swarm_service(
    name: str,
    service: Mapping[str, Any],
    tasks: list[dict[str, Any]],
    hostnames: Mapping[str, str],
    down: set[str],
    own_id: str,
) -> ObservedSwarmService:
    """`tasks` are all of the service. `hostnames` is by node id. `down` has the ids of lost nodes."""
    spec = service["Spec"]
    template = spec["TaskTemplate"].get("ContainerSpec") or {}
    labels = [spec.get("Labels") or {}, template.get("Labels") or {}]
    mode = next((mode for word, mode in MODES.items() if word in spec["Mode"]), "replicated")
    current = [task for task in tasks if is_of_this_run(task, service)]
    replicas, running = count_replicas(mode, spec["Mode"], current, down)
    image, digests = split_image(clean_text(template.get("Image"), IMAGE_LENGTH))
    update = service.get("UpdateStatus") or {}
    update_state = clean_text(update.get("State"), 24)
    is_own = bool(own_id) and any((read_task_container(task) or "-").startswith(own_id) for task in tasks)
    observed = sort_newest_first(read_task(task, hostnames) for task in tasks)
    return ObservedSwarmService(
        name=name,
        swarm_id=clean_text(service["ID"], 64),
        mode=mode,
        replicas=replicas,
        running=running,
        tasks=keep_tasks(observed),
        image=image,
        image_digests=digests,
        ports=read_published_ports(service, current),
        update_state=update_state,
        update_message=clean_text(update.get("Message"), TEXT_LENGTH),
        update_started_at=read_time(update.get("StartedAt")),
        last_error="" if running >= replicas and "paused" not in update_state else find_last_error(current, spec),
        update_config={} if mode in JOBS else read_update_config(spec.get("UpdateConfig")),
        rollback_config={} if mode in JOBS else read_update_config(spec.get("RollbackConfig")),
        protected=is_own or any(is_true(found.get(PROTECTED_LABEL)) for found in labels),
        system=is_own or any(is_true(found.get(SYSTEM_LABEL)) for found in labels),
        freeze_label=clean_text(read_label(labels, FREEZE_LABEL), FREEZE_LABEL_LENGTH),
        least_age_label=clean_text(read_label(labels, LEAST_AGE_LABEL), LEAST_AGE_LABEL_LENGTH),
        created_at=read_time(service.get("CreatedAt")),
        updated_at=max((task.created_at for task in observed if task.created_at), default=read_time(service.get("UpdatedAt"))),
    )


def read_label(labels: Iterable[Mapping[str, Any]], name: str) -> str:
    """Return the label of the service, or else of its containers."""
    return next((str(found[name]) for found in labels if found.get(name)), "")


def is_of_this_run(task: Mapping[str, Any], service: Mapping[str, Any]) -> bool:
    """Return False for a task of an earlier run of a job."""
    status = service.get("JobStatus")
    return not status or (task.get("JobIteration") or {}).get("Index", 0) == (status.get("JobIteration") or {}).get("Index", 0)


def count_replicas(mode: str, spec: Mapping[str, Any], tasks: Collection[Mapping[str, Any]], down: set[str]) -> tuple[int, int]:
    """Return how many tasks should run and in how many places one does. `spec` is the service's Mode."""
    wanted = [task for task in tasks if task["DesiredState"] in WANTED_STATES and task.get("NodeID") not in down]
    state_of = [(place_of_task(task), read_task_state(task)) for task in wanted]
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
            failed = {place_of_task(task) for task in tasks if read_task_state(task) in FAILED_TASK_STATES}
            return len((places | failed) - done), len(running - done)
    return len(places), len(running)


def read_published_ports(service: Mapping[str, Any], tasks: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the published ports. Only the tasks have those that each node chooses itself (mode host)."""
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
    """Return the error of the newest task of the current spec that has failed or cannot be placed."""
    errors = [
        (read_time(status.get("Timestamp")), clean_text(status.get("Err"), TEXT_LENGTH))
        for task in tasks
        if is_of_spec(task, spec) and (status := task.get("Status") or {}).get("Err")
        if status.get("State") in FAILED_TASK_STATES
        or (status.get("State") == "pending" and task["DesiredState"] in WANTED_STATES)
    ]
    return max(((moment, error) for moment, error in errors if moment), default=(None, ""))[1]


def is_of_spec(task: Mapping[str, Any], spec: Mapping[str, Any]) -> bool:
    def key(template: Mapping[str, Any]) -> tuple[int, str]:
        return template.get("ForceUpdate") or 0, (template.get("ContainerSpec") or {}).get("Image", "")

    return key(task.get("Spec") or {}) == key(spec["TaskTemplate"])


def read_update_config(config: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the value of models.Service.update_config, with Swarm's own defaults where nothing is set."""
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

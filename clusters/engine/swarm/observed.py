"""What a manager tells of a Swarm: services, tasks, nodes; and the target made of them.

Fields are named as in the Engine API's Service, Task and Node, of which only what matters here is read.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from clusters.engine import names
from clusters.engine.driver import Target
from clusters.engine.errors import TargetMissing
from clusters.engine.snapshot import ContainerSnapshot, ServiceSnapshot, Snapshot, UpdateSnapshot
from clusters.engine.swarm.images import digest_of, find_reference, without_digest
from clusters.engine.swarm.stack_labels import MODES, STACK_LABEL, locate_service, locate_services
from clusters.engine.wording import cut

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

Mode = Literal["replicated", "global", "replicated-job", "global-job"]
# In the order in which a task goes through them; what comes after "running" has ended.
LIVE_STATES = ("new", "pending", "assigned", "accepted", "preparing", "ready", "starting", "running")
FAILED_STATES = ("failed", "rejected")


@dataclass(frozen=True)
class Node:
    id: str
    hostname: str
    state: str  # ready, down, disconnected, unknown
    availability: str = "active"  # active, pause, drain

    @property
    def takes_tasks(self) -> bool:
        return self.state == "ready" and self.availability == "active"

    @property
    def is_down(self) -> bool:
        return self.state == "down"


@dataclass(frozen=True, eq=False)
class Task:
    details: Mapping[str, Any] = field(repr=False)

    @property
    def id(self) -> str:
        return str(self.details["ID"])

    @property
    def service_id(self) -> str:
        return str(self.details.get("ServiceID") or "")

    @property
    def node_id(self) -> str:
        return str(self.details.get("NodeID") or "")

    @property
    def slot(self) -> int:
        """From 1 on; of a job from 0 on; of a global service always 0."""
        return int(self.details.get("Slot") or 0)

    @property
    def status(self) -> Mapping[str, Any]:
        return self.details.get("Status") or {}

    @property
    def state(self) -> str:
        return str(self.status.get("State") or "")

    @property
    def desired(self) -> str:
        return str(self.details.get("DesiredState") or "")

    @property
    def error(self) -> str:
        return cut(str(self.status.get("Err") or ""))

    @property
    def created_at(self) -> str:
        return str(self.details.get("CreatedAt") or "")

    @property
    def changed_at(self) -> str:
        return str(self.status.get("Timestamp") or self.created_at)

    @property
    def container(self) -> Mapping[str, Any]:
        return self.status.get("ContainerStatus") or {}

    @property
    def exit_code(self) -> int | None:
        code = self.container.get("ExitCode")
        return code if isinstance(code, int) else None

    @property
    def container_id(self) -> str:
        return str(self.container.get("ContainerID") or "")

    @property
    def spec(self) -> Mapping[str, Any]:
        return self.details.get("Spec") or {}

    @property
    def image(self) -> str:
        return str((self.spec.get("ContainerSpec") or {}).get("Image") or "")

    @property
    def force_update(self) -> int:
        return int(self.spec.get("ForceUpdate") or 0)

    @property
    def iteration(self) -> int | None:
        """Of a job."""
        return (self.details.get("JobIteration") or {}).get("Index")

    @property
    def is_wanted(self) -> bool:
        """Swarm wants it to run, or to come to run; a job's task, to complete."""
        return self.desired in LIVE_STATES or self.desired == "complete"

    @property
    def is_live(self) -> bool:
        """Wanted, and it has not ended."""
        return self.is_wanted and self.state in LIVE_STATES

    @property
    def runs(self) -> bool:
        """Its container runs, wanted or not; `starting`: not healthy yet."""
        return self.state in {"starting", "running"}


@dataclass(frozen=True, eq=False)
class SwarmService:
    """`name` is what people call it: without the stack's name in front."""

    details: Mapping[str, Any] = field(repr=False)
    name: str

    @property
    def id(self) -> str:
        return str(self.details["ID"])

    @property
    def spec(self) -> Mapping[str, Any]:
        return self.details["Spec"]

    @property
    def full_name(self) -> str:
        return str(self.spec.get("Name") or "")

    @property
    def labels(self) -> Mapping[str, str]:
        """The service's own (Compose's `deploy.labels`)."""
        return self.spec.get("Labels") or {}

    @property
    def version(self) -> int:
        return int((self.details.get("Version") or {}).get("Index") or 0)

    @property
    def updated_at(self) -> str:
        return str(self.details.get("UpdatedAt") or "")

    @property
    def task_template(self) -> Mapping[str, Any]:
        return self.spec.get("TaskTemplate") or {}

    @property
    def container_spec(self) -> Mapping[str, Any]:
        return self.task_template.get("ContainerSpec") or {}

    @property
    def image(self) -> str:
        """As the spec has it: usually a tag with the digest it was resolved to."""
        return str(self.container_spec.get("Image") or "")

    @property
    def reference(self) -> str:
        """What a redeploy starts from."""
        return find_reference(self.image, self.labels)

    @property
    def force_update(self) -> int:
        return int(self.task_template.get("ForceUpdate") or 0)

    @property
    def mode(self) -> Mode:
        return next((mode for key, mode in MODES.items() if key in (self.spec.get("Mode") or {})), "replicated")

    @property
    def is_job(self) -> bool:
        return self.mode in {"replicated-job", "global-job"}

    @property
    def replicas(self) -> int | None:
        """The number of tasks that are to run, or of a job to complete; None where the nodes decide it."""
        mode = self.spec.get("Mode") or {}
        if self.mode == "replicated":
            count = (mode.get("Replicated") or {}).get("Replicas")
            return 1 if count is None else int(count)
        if self.mode == "replicated-job":
            job = mode["ReplicatedJob"] or {}
            return next((int(job[key]) for key in ("TotalCompletions", "MaxConcurrent") if job.get(key) is not None), 1)
        return None

    @property
    def iteration(self) -> int | None:
        """Of a job."""
        return ((self.details.get("JobStatus") or {}).get("JobIteration") or {}).get("Index")

    @property
    def previous_spec(self) -> Mapping[str, Any]:
        return self.details.get("PreviousSpec") or {}

    @property
    def update_status(self) -> Mapping[str, Any]:
        return self.details.get("UpdateStatus") or {}

    @property
    def update_state(self) -> str:
        """updating, paused, completed, rollback_started, rollback_paused, rollback_completed; empty without an update."""
        return str(self.update_status.get("State") or "")

    @property
    def update_started_at(self) -> str:
        return str(self.update_status.get("StartedAt") or "")

    @property
    def is_marked_protected(self) -> bool:
        labels = (self.labels, self.container_spec.get("Labels") or {})
        return any(names.is_true(found.get(names.PROTECTED_LABEL)) for found in labels)


@dataclass(frozen=True)
class Look:
    """A service's part of the Swarm at one moment. `service` is None when it is gone. `asked_at`: when it was asked for, in
    seconds of a clock that only goes forward; what it shows may be as old as that. None: just now."""

    service: SwarmService | None
    tasks: tuple[Task, ...]
    nodes: Mapping[str, Node]
    asked_at: float | None = None

    def is_reachable(self, task: Task) -> bool:
        """Not on a node that is known to be down: what is said of a task there is out of date."""
        node = self.nodes.get(task.node_id)
        return node is None or not node.is_down

    @cached_property
    def running(self) -> list[Task]:
        """Tasks that are wanted and run, on nodes that are not down."""
        return [task for task in self.tasks if task.is_wanted and task.state == "running" and self.is_reachable(task)]

    @cached_property
    def live(self) -> list[Task]:
        return [task for task in self.tasks if task.is_live and self.is_reachable(task)]

    @property
    def wanted(self) -> int:
        """The number of tasks that are to run; of a job, to complete."""
        if self.service is None:
            return 0
        if self.service.replicas is not None:
            return self.service.replicas
        if self.service.mode == "global-job":
            return len({task.node_id for task in self.tasks if task.iteration == self.service.iteration})
        return len({self.place_of(task) for task in self.tasks if self.is_reachable(task) and (task.is_wanted or task.runs)})

    @property
    def is_spread_over_nodes(self) -> bool:
        return self.service is not None and self.service.replicas is None

    def place_of(self, task: Task) -> int | str:
        """Tasks in one place follow each other: its slot, of a global service its node."""
        return task.node_id if self.is_spread_over_nodes else task.slot

    def name_task(self, task: Task) -> str:
        """`web.1`, of a global service `web.<host name>`."""
        service = self.service.name if self.service else "task"
        return f"{service}.{(self.name_node(task.node_id) or task.id[:12]) if self.is_spread_over_nodes else task.slot}"

    def name_node(self, node_id: str) -> str:
        node = self.nodes.get(node_id)
        return node.hostname if node else node_id[:12]


@dataclass(frozen=True)
class Belonging:
    """What a stack has beside its services. `kind`: network, config or secret."""

    kind: Literal["network", "config", "secret"]
    id: str
    name: str


@dataclass(frozen=True)
class SwarmTarget:
    """Implements driver.Observation. `services` are all of the application's, in the order of their names. `belongings`:
    where a delete asked for them."""

    target: Target
    services: tuple[SwarmService, ...]
    tasks: tuple[Task, ...]
    nodes: Mapping[str, Node]
    belongings: tuple[Belonging, ...] = ()

    @property
    def chosen(self) -> list[SwarmService]:
        return [service for service in self.services if self.target.service in {"", service.name}]

    def find_service(self, name: str) -> SwarmService:
        """Raises TargetMissing."""
        for service in self.services:
            if service.name == name:
                return service
        raise TargetMissing(f"{self.target.application} has no service {name}.")

    def look_at(self, service: SwarmService) -> Look:
        return Look(service, tuple(task for task in self.tasks if task.service_id == service.id), self.nodes)

    def is_protected(self, service: SwarmService) -> bool:
        own = names.find_own_container_id()
        runs_us = bool(own) and any(task.container_id == own for task in self.look_at(service).tasks)
        return service.is_marked_protected or runs_us

    def current_count(self, service: str) -> int:
        return self.look_at(self.find_service(service)).wanted

    def snapshot(self) -> Snapshot:
        return Snapshot({service.name: describe_service(self.look_at(service), service) for service in self.chosen})


def describe_service(look: Look, service: SwarmService) -> ServiceSnapshot:
    images: dict[str, int] = defaultdict(int)
    for task in look.running:
        images[digest_of(task.image) or task.image[:512]] += 1
    pinned = {task.image[:512] for task in look.running if digest_of(task.image)}
    return ServiceSnapshot(
        id=service.id,
        running=len(look.running),
        wanted=look.wanted,
        mode=service.mode,
        image=without_digest(service.image)[:512],
        images=dict(sorted(images.items())),
        digests=tuple(sorted(pinned)),
        containers=tuple(describe_task(look, task) for task in sort_tasks(look.tasks) if task.is_wanted or task.runs),
        update=UpdateSnapshot(service.force_update, service.version, service.update_started_at),
    )


def describe_task(look: Look, task: Task) -> ContainerSnapshot:
    return ContainerSnapshot(
        name=look.name_task(task)[:255],
        id=task.id,
        image_id=digest_of(task.image),
        state=task.state,
        node=look.name_node(task.node_id)[:255],
    )


def sort_tasks(tasks: Iterable[Task]) -> list[Task]:
    return sorted(tasks, key=lambda task: (task.slot, task.node_id, task.changed_at))


# Asking


def observe_target(client: "EngineClient", target: Target) -> SwarmTarget:
    """Three requests. Raises TargetMissing, NotManager, EngineUnreachable, EngineRefused."""
    services = list_services(client, target)
    if not services:
        kind = "stack" if target.source == "stack" else "service"
        raise TargetMissing(f"There is no {kind} {target.application} in the Swarm.")
    observed = complete_target(client, target, services)
    if target.service:
        observed.find_service(target.service)
    return observed


def observe_remains(client: "EngineClient", target: Target) -> SwarmTarget:
    """See driver.Driver.observe_remains."""
    observed = complete_target(client, target, list_services(client, target))
    return replace(observed, belongings=tuple(list_belongings(client, target)))


def complete_target(client: "EngineClient", target: Target, services: list[SwarmService]) -> SwarmTarget:
    return SwarmTarget(
        target=target,
        services=tuple(sorted(services, key=lambda service: service.name)),
        tasks=list_tasks(client, [service.id for service in services]) if services else (),
        nodes=list_nodes(client),
    )


def list_belongings(client: "EngineClient", target: Target) -> Iterator[Belonging]:
    """What `docker stack deploy` made for the stack."""
    if target.source != "stack":
        return
    wanted = {"label": [f"{STACK_LABEL}={target.application}"]}
    yield from sort_belongings(
        Belonging("network", str(entry["Id"]), str(entry["Name"])) for entry in client.list_networks(wanted)
    )
    yield from sort_belongings(
        Belonging("config", str(entry["ID"]), str(entry["Spec"]["Name"])) for entry in client.list_configs(wanted)
    )
    yield from sort_belongings(
        Belonging("secret", str(entry["ID"]), str(entry["Spec"]["Name"])) for entry in client.list_secrets(wanted)
    )


def sort_belongings(found: Iterable[Belonging]) -> list[Belonging]:
    return sorted(found, key=lambda belonging: belonging.name)


def list_services(client: "EngineClient", target: Target) -> list[SwarmService]:
    """The engine matches names by their beginning, so what it finds is looked at once more."""
    if target.source == "stack":
        found = client.list_services({"label": [f"{STACK_LABEL}={target.application}"]})
    else:
        found = client.list_services({"name": [target.application]})
    return [
        make_service(entry, place.name)
        for entry, place in zip(found, locate_services(found), strict=True)
        if (place.source, place.application) == (target.source, target.application)
    ]


def make_service(details: Mapping[str, Any], name: str = "") -> SwarmService:
    """`name`: where all services of its stack were not there to find it by."""
    return SwarmService(details, name or locate_service(details).name)


def list_tasks(client: "EngineClient", service_ids: list[str]) -> tuple[Task, ...]:
    return tuple(Task(entry) for entry in client.list_tasks({"service": service_ids}))


def list_nodes(client: "EngineClient") -> dict[str, Node]:
    return {entry["ID"]: make_node(entry) for entry in client.list_nodes()}


def make_node(details: Mapping[str, Any]) -> Node:
    hostname = (details.get("Description") or {}).get("Hostname") or details["ID"][:12]
    state = (details.get("Status") or {}).get("State") or "unknown"
    availability = (details.get("Spec") or {}).get("Availability") or "active"
    return Node(str(details["ID"]), cut(str(hostname)), str(state), str(availability))

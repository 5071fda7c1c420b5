"""The target of a call as one of the Swarm's managers reports it, and one look at each of its services."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from clusters.engine import names
from clusters.engine.driver import KeepLabel, Target
from clusters.engine.errors import PlanRefused, TargetMissing
from clusters.engine.snapshot import ContainerSnapshot, ServiceSnapshot, Snapshot, UpdateSnapshot
from clusters.engine.swarm.image_references import digest_of, without_digest
from clusters.engine.swarm.objects import (
    SwarmNode,
    SwarmService,
    SwarmTask,
    make_swarm_node,
    make_swarm_service,
    sort_tasks,
)
from clusters.engine.swarm.stack_labels import STACK_LABEL, is_own_job, locate_services
from clusters.engine.wording import explain_protection

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient


@dataclass(frozen=True)
class ServiceLook:
    """A service, its tasks and the nodes at one moment.

    `service` is None when it no longer exists. `asked_at` is when the request was sent, in seconds of a monotonic clock: what
    is shown may be that old. None means just now. `running` are the tasks that are wanted and run, and `live` those that are
    live; both only on nodes that are not down.
    """

    service: SwarmService | None
    tasks: tuple[SwarmTask, ...]
    nodes: Mapping[str, SwarmNode]
    asked_at: float | None = None
    running: list[SwarmTask] = field(init=False, repr=False, compare=False)
    live: list[SwarmTask] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        running = [task for task in self.tasks if task.is_wanted and task.state == "running" and self.is_reachable(task)]
        live = [task for task in self.tasks if task.is_live and self.is_reachable(task)]
        object.__setattr__(self, "running", running)
        object.__setattr__(self, "live", live)

    def is_reachable(self, task: SwarmTask) -> bool:
        """Return False if the task's node is down or was removed: the task's last reported state is out of date then."""
        if not task.node_id:
            return True  # it waits for a node
        node = self.nodes.get(task.node_id)
        return node is not None and not node.is_down

    @property
    def wanted(self) -> int:
        """The number of tasks that should run; for a job, that should complete."""
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

    def place_of(self, task: SwarmTask) -> int | str:
        """Return the task's slot, or its node's id if the service is global. Tasks in one place replace each other."""
        return task.node_id if self.is_spread_over_nodes else task.slot

    def name_task(self, task: SwarmTask) -> str:
        """Return `web.1`, or `web.<host name>` if the service is global."""
        service = self.service.name if self.service else "task"
        return f"{service}.{(self.name_node(task.node_id) or task.id[:12]) if self.is_spread_over_nodes else task.slot}"

    def name_node(self, node_id: str) -> str:
        node = self.nodes.get(node_id)
        return node.hostname if node else node_id[:12]


@dataclass(frozen=True)
class StackObject:
    """A network, config or secret that was created for a stack."""

    kind: Literal["network", "config", "secret"]
    id: str
    name: str


@dataclass(frozen=True)
class SwarmTarget:
    """Implements driver.Observation.

    `services` has all services of the application, sorted by name. `stack_objects` and `own_jobs`, which a redeploy has left,
    are filled only for a delete.
    """

    target: Target
    services: tuple[SwarmService, ...]
    tasks: tuple[SwarmTask, ...]
    nodes: Mapping[str, SwarmNode]
    stack_objects: tuple[StackObject, ...] = ()
    own_jobs: tuple[SwarmService, ...] = ()

    @property
    def chosen(self) -> list[SwarmService]:
        return [service for service in self.services if self.target.service in {"", service.name}]

    def find_service(self, name: str) -> SwarmService:
        """Raises TargetMissing."""
        for service in self.services:
            if service.name == name:
                return service
        raise TargetMissing(f"{self.target.application} has no service {name}.")

    def look_at(self, service: SwarmService) -> ServiceLook:
        return ServiceLook(service, tuple(task for task in self.tasks if task.service_id == service.id), self.nodes)

    def is_protected(self, service: SwarmService) -> bool:
        own = names.find_own_container_id()
        runs_us = bool(own) and any(task.container_id == own for task in self.look_at(service).tasks)
        return service.is_marked_protected or runs_us

    def refuse_protected(self, service: SwarmService) -> None:
        """Raises PlanRefused."""
        if self.is_protected(service):
            raise PlanRefused(explain_protection(service.name), code="protected")

    def current_count(self, service: str) -> int:
        return self.look_at(self.find_service(service)).wanted

    def list_keep_labels(self) -> list[KeepLabel]:
        return [
            KeepLabel(service.name, service.reference, text)
            for service in self.chosen
            if (text := str(service.labels.get(names.KEEP_IMAGES_LABEL) or "").strip())
        ]

    def snapshot(self) -> Snapshot:
        return Snapshot({service.name: snapshot_service(self.look_at(service), service) for service in self.chosen})


def snapshot_service(look: ServiceLook, service: SwarmService) -> ServiceSnapshot:
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
        containers=tuple(snapshot_task(look, task) for task in sort_tasks(look.tasks) if task.is_wanted or task.runs),
        update=UpdateSnapshot(service.force_update, service.version, service.update_started_at),
    )


def snapshot_task(look: ServiceLook, task: SwarmTask) -> ContainerSnapshot:
    return ContainerSnapshot(
        name=look.name_task(task)[:255],
        id=task.id,
        image_id=digest_of(task.image),
        state=task.state,
        node=look.name_node(task.node_id)[:255],
    )


# Reading


def observe_target(client: "EngineClient", target: Target) -> SwarmTarget:
    """Read the target in three requests. Raises TargetMissing, NotManager, EngineUnreachable, EngineRefused."""
    services = find_target_services(client, target)
    if not services:
        kind = "stack" if target.source == "stack" else "service"
        raise TargetMissing(f"There is no {kind} {target.application} in the Swarm.")
    observed = complete_target(client, target, services)
    if target.service:
        observed.find_service(target.service)
    return observed


def observe_remains(client: "EngineClient", target: Target) -> SwarmTarget:
    """See driver.EngineDriver.observe_remains."""
    observed = complete_target(client, target, find_target_services(client, target))
    return replace(
        observed,
        stack_objects=tuple(list_stack_objects(client, target)),
        own_jobs=tuple(list_own_jobs(client, target)),
    )


def complete_target(client: "EngineClient", target: Target, services: list[SwarmService]) -> SwarmTarget:
    return SwarmTarget(
        target=target,
        services=tuple(sorted(services, key=lambda service: service.name)),
        tasks=list_service_tasks(client, [service.id for service in services]) if services else (),
        nodes=list_swarm_nodes(client),
    )


def list_stack_objects(client: "EngineClient", target: Target) -> Iterator[StackObject]:
    """List what `docker stack deploy` created for the stack beside its services."""
    if target.source != "stack":
        return
    wanted = {"label": [f"{STACK_LABEL}={target.application}"]}
    yield from sort_stack_objects(
        StackObject("network", str(entry["Id"]), str(entry["Name"])) for entry in client.list_networks(wanted)
    )
    yield from sort_stack_objects(
        StackObject("config", str(entry["ID"]), str(entry["Spec"]["Name"])) for entry in client.list_configs(wanted)
    )
    yield from sort_stack_objects(
        StackObject("secret", str(entry["ID"]), str(entry["Spec"]["Name"])) for entry in client.list_secrets(wanted)
    )


def sort_stack_objects(found: Iterable[StackObject]) -> list[StackObject]:
    return sorted(found, key=lambda stack_object: stack_object.name)


def find_target_services(client: "EngineClient", target: Target) -> list[SwarmService]:
    """List the services of the target. The engine matches names by prefix, so its answer is filtered again."""
    found = [entry for entry in list_entries(client, target) if not is_own_job(entry)]
    return [
        make_swarm_service(entry, place.name)
        for entry, place in zip(found, locate_services(found), strict=True)
        if (place.source, place.application) == (target.source, target.application)
    ]


def list_entries(client: "EngineClient", target: Target) -> list[dict[str, Any]]:
    if target.source == "stack":
        return client.list_services({"label": [f"{STACK_LABEL}={target.application}"]})
    return client.list_services({"name": [target.application]})


def list_own_jobs(client: "EngineClient", target: Target) -> list[SwarmService]:
    """List what an unfinished redeploy has left of its jobs."""
    return [make_swarm_service(entry) for entry in list_entries(client, target) if is_own_job(entry)]


def list_service_tasks(client: "EngineClient", service_ids: list[str]) -> tuple[SwarmTask, ...]:
    return tuple(SwarmTask(entry) for entry in client.list_tasks({"service": service_ids}))


def list_swarm_nodes(client: "EngineClient") -> dict[str, SwarmNode]:
    """Return the Swarm's nodes by id."""
    return {entry["ID"]: make_swarm_node(entry) for entry in client.list_nodes()}

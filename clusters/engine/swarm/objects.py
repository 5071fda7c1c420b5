"""Services, tasks and nodes as a manager reports them.

Attributes are named after the fields of Service, Task and Node in the Engine API. Only those that the driver needs are read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from clusters.engine import names
from clusters.engine.swarm.image_references import find_service_reference
from clusters.engine.swarm.stack_labels import MODES, locate_service
from clusters.engine.wording import cut

Mode = Literal["replicated", "global", "replicated-job", "global-job"]
# In the order in which a task goes through them. A state after "running" means that the task has ended.
LIVE_STATES = ("new", "pending", "assigned", "accepted", "preparing", "ready", "starting", "running")
FAILED_STATES = ("failed", "rejected")


@dataclass(frozen=True)
class SwarmNode:
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
class SwarmTask:
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
        """The slot counts from 1, for a job from 0. It is always 0 for a global service."""
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
        """The iteration of the job that the task belongs to; None for other services."""
        return (self.details.get("JobIteration") or {}).get("Index")

    @property
    def is_wanted(self) -> bool:
        """Swarm wants the task to run, now or soon; a job's task, to complete."""
        return self.desired in LIVE_STATES or self.desired == "complete"

    @property
    def is_live(self) -> bool:
        """The task is wanted and has not ended."""
        return self.is_wanted and self.state in LIVE_STATES

    @property
    def runs(self) -> bool:
        """Its container runs, wanted or not. `starting` means that it is not healthy yet."""
        return self.state in {"starting", "running"}


@dataclass(frozen=True, eq=False)
class SwarmService:
    """A service; `name` is what people call it: without the stack's name in front."""

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
        """The labels of the service itself (Compose's `deploy.labels`)."""
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
        """The image in the spec: usually a tag with the digest that it was resolved to."""
        return str(self.container_spec.get("Image") or "")

    @property
    def reference(self) -> str:
        """The image reference that a redeploy starts from."""
        return find_service_reference(self.image, self.labels)

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
        """The number of tasks that should run, for a job that should complete; None where the nodes decide it."""
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
        """The current iteration of a job; None for other services."""
        return ((self.details.get("JobStatus") or {}).get("JobIteration") or {}).get("Index")

    @property
    def host_ports(self) -> list[Mapping[str, Any]]:
        """The ports that each task publishes on its own node (`mode: host`)."""
        ports = (self.spec.get("EndpointSpec") or {}).get("Ports") or []
        return [port for port in ports if port.get("PublishMode") == "host" and port.get("PublishedPort")]

    @property
    def most_per_node(self) -> int:
        """How many of its tasks a node may have (`max_replicas_per_node`); 0 without a limit."""
        return int((self.task_template.get("Placement") or {}).get("MaxReplicas") or 0)

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


def make_swarm_service(details: Mapping[str, Any], name: str = "") -> SwarmService:
    """Pass `name` where the caller does not have all services of the stack, which are needed to derive it."""
    return SwarmService(details, name or locate_service(details).name)


def make_swarm_node(details: Mapping[str, Any]) -> SwarmNode:
    hostname = (details.get("Description") or {}).get("Hostname") or details["ID"][:12]
    state = (details.get("Status") or {}).get("State") or "unknown"
    availability = (details.get("Spec") or {}).get("Availability") or "active"
    return SwarmNode(str(details["ID"]), cut(str(hostname)), str(state), str(availability))


def sort_tasks(tasks: Iterable[SwarmTask]) -> list[SwarmTask]:
    return sorted(tasks, key=lambda task: (task.slot, task.node_id, task.changed_at))

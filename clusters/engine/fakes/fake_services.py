"""FakeSwarm's services and tasks: what the orchestrator knows of each, and how the Engine API shows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clusters.engine.fakes.copying import copy_of
from clusters.engine.fakes.fake_containers import Json, has_labels

ENDED = {"complete", "shutdown", "failed", "rejected", "orphaned"}


@dataclass(eq=False)
class FakeTask:
    """One task. `describe` returns it in the Engine API's form."""

    id: str
    service_id: str
    slot: int
    spec: Json
    spec_version: int
    desired: str
    created: str
    node_id: str = ""
    state: str = "new"
    message: str = "created"
    error: str = ""
    exit_code: int = 0
    container_id: str = ""
    version: int = 0
    updated: str = ""
    iteration: int | None = None  # of a job
    hold: int = 0  # steps until it can run
    service_name: str = ""
    service_labels: Json = field(default_factory=dict)  # of its service, when the task was made
    waits_for: "FakeTask | None" = None  # the task that it replaces, where that one stops first

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

    @property
    def place(self) -> tuple[int, str]:
        """Its slot, or its node where the service is global."""
        return (self.slot, "" if self.slot else self.node_id)

    @property
    def is_live(self) -> bool:
        """True while Swarm wants it to run, now or later."""
        return self.desired in ("ready", "running", "complete") and not self.has_ended

    def describe(self) -> Json:
        status: Json = {"Timestamp": self.updated, "State": self.state, "Message": self.message}
        if self.error:
            status["Err"] = self.error
        if self.container_id:
            status["ContainerStatus"] = {"ContainerID": self.container_id, "PID": 0, "ExitCode": self.exit_code}
        task: Json = {
            "ID": self.id,
            "Version": {"Index": self.version},
            "CreatedAt": self.created,
            "UpdatedAt": self.updated,
            "Labels": {},
            "Spec": hide_credentials({"TaskTemplate": self.spec})["TaskTemplate"],
            "ServiceID": self.service_id,
            "Status": {**status, "PortStatus": {}},
            "DesiredState": self.desired,
        }
        task["Spec"].pop("Runtime", None)
        if self.slot:
            task["Slot"] = self.slot
        if self.node_id:
            task["NodeID"] = self.node_id
        if self.iteration is not None:
            task["JobIteration"] = {"Index": self.iteration} if self.iteration else {}
        return task


@dataclass(eq=False)
class FakeService:
    id: str
    spec: Json
    spec_version: int
    version: int
    created: str
    updated: str
    previous: Json | None = None
    previous_version: int = 0
    status: Json | None = None  # UpdateStatus
    iteration: int = 0
    rolled: list[FakeTask] = field(default_factory=list)  # tasks made by the rollout in progress
    failures: set[str] = field(default_factory=set)  # ids of the tasks among them that failed
    total: int = 1  # the number of slots that the rollout has to change
    monitored: int = 0

    @property
    def name(self) -> str:
        return str(self.spec["Name"])

    @property
    def mode(self) -> str:
        return str(next(iter(self.spec["Mode"])))

    @property
    def is_job(self) -> bool:
        return self.mode.endswith("Job")

    def describe(self) -> Json:
        answer: Json = {
            "ID": self.id,
            "Version": {"Index": self.version},
            "CreatedAt": self.created,
            "UpdatedAt": self.updated,
            "Spec": hide_credentials(self.spec),
            "Endpoint": {"Spec": copy_of(self.spec.get("EndpointSpec") or {})},
        }
        if self.previous is not None:
            answer["PreviousSpec"] = hide_credentials(self.previous)
        if self.status is not None:
            answer["UpdateStatus"] = dict(self.status)
        if self.is_job:
            iteration = {"Index": self.iteration} if self.iteration else {}
            answer["JobStatus"] = {"JobIteration": iteration, "LastExecution": self.updated}
        return answer


def hide_credentials(spec: Json) -> Json:
    """Return the spec as the API shows it, without the registry's credentials."""
    shown = copy_of(spec)
    shown["TaskTemplate"].get("ContainerSpec", {}).pop("PullOptions", None)
    return shown


def complete_spec(spec: Mapping[str, Any], credentials: str) -> Json:
    """Return the spec as Swarm stores it."""
    full = copy_of(dict(spec))
    full.setdefault("Labels", {})
    full.setdefault("Mode", {"Replicated": {"Replicas": 1}})
    template = full["TaskTemplate"]
    template["ContainerSpec"].setdefault("Isolation", "default")
    template["ForceUpdate"] = template.get("ForceUpdate") or 0
    template.setdefault("Runtime", "container")
    if credentials:
        template["ContainerSpec"]["PullOptions"] = credentials
    return full


def service_matches(service: FakeService, filters: Json) -> bool:
    """Return whether the service passes a list's filters.

    They are `id` and `name` (both match a prefix) and `label`, each one word or a list of words.
    """
    for kind, value in filters.items():
        words = [value] if isinstance(value, str) else list(value)
        if kind == "id":
            passed = any(service.id.startswith(word) for word in words)
        elif kind == "name":
            passed = any(service.name.startswith(word) for word in words)
        elif kind == "label":
            passed = has_labels(service.spec["Labels"], words)
        else:
            raise NotImplementedError(f"FakeSwarm does not know the service filter {kind!r}.")
        if not passed:
            return False
    return True


def task_matches(task: FakeTask, filters: Json) -> bool:
    """Return whether the task passes a list's filters.

    They are `service` and `node` (ids), `id`, `desired-state`, and its service's `label` and `name` (which matches a prefix).
    """
    for kind, value in filters.items():
        words = {value} if isinstance(value, str) else set(value)
        if kind == "label":
            if not has_labels(task.service_labels, words):
                return False
            continue
        if kind == "name":
            if not any(f"{task.service_name}.{task.slot}".startswith(word) for word in words):
                return False
            continue
        facts = {"service": task.service_id, "node": task.node_id, "id": task.id, "desired-state": task.desired}
        if kind not in facts:
            raise NotImplementedError(f"FakeSwarm does not know the task filter {kind!r}.")
        if facts[kind] not in words:
            return False
    return True

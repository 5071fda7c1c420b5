"""FakeEngine's Swarm: services, tasks and nodes in memory, rolled as Swarm's orchestrator does it.

There is no clock: each look at services or tasks moves everything one step, such as one state of each task, and every delay
and monitor period is a few steps long. `tests/integration/test_swarm_contract.py` holds it to a real Swarm.

What a task does is told by its image and command as `clusters.engine.fakes.fake_engine` says; besides:
- command COMPLETES: ends at once with exit code 0;
- a health check that runs /bin/false: never runs, and is stopped: `complete` where the image stops by a signal it can handle,
  `failed` where its StopSignal is SIGKILL;
- an image that neither a registry nor the node has, or whose registry wants other credentials: rejected.
"""

import copy
import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from clusters.engine.errors import EngineRefused, TargetMissing
from clusters.engine.fakes.fake_containers import CANNOT_START, COMPLETES, CRASHES, Json, make_id, merge_command

HOLD = 2  # steps that a restart delay or a monitor period takes
ENDED = {"complete", "shutdown", "failed", "rejected", "orphaned"}
UPDATE_DEFAULTS: Json = {"Parallelism": 1, "FailureAction": "pause", "MaxFailureRatio": 0, "Order": "stop-first"}
# find_image(reference, credentials) -> the image's Config, or None when a node cannot get it.
FindImage = Callable[[str, str], Json | None]


@dataclass(eq=False)
class FakeTask:
    """One task; `describe` gives what the Engine API answers."""

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
    hold: int = 0  # steps until it may run
    service_name: str = ""
    service_labels: Json = field(default_factory=dict)  # of its service, as it was made
    waits_for: "FakeTask | None" = None  # the one it takes the place of, stop-first

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

    @property
    def place(self) -> tuple[int, str]:
        """Its slot, or of a global service its node."""
        return (self.slot, "" if self.slot else self.node_id)

    @property
    def is_live(self) -> bool:
        """Swarm means it to run, now or later."""
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
    rolled: list[FakeTask] = field(default_factory=list)  # made by the rollout that is under way
    failures: set[str] = field(default_factory=set)  # ids of those that failed
    total: int = 1  # slots that the rollout has to change
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
            "Endpoint": {"Spec": copy.deepcopy(self.spec.get("EndpointSpec") or {})},
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
    """The spec as the API shows it: without the registry's credentials."""
    shown = copy.deepcopy(spec)
    shown["TaskTemplate"].get("ContainerSpec", {}).pop("PullOptions", None)
    return shown


def complete_spec(spec: Mapping[str, Any], credentials: str) -> Json:
    """The spec as Swarm stores it."""
    full = copy.deepcopy(dict(spec))
    full.setdefault("Labels", {})
    full.setdefault("Mode", {"Replicated": {"Replicas": 1}})
    template = full["TaskTemplate"]
    template["ContainerSpec"].setdefault("Isolation", "default")
    template["ForceUpdate"] = template.get("ForceUpdate") or 0
    template.setdefault("Runtime", "container")
    if credentials:
        template["ContainerSpec"]["PullOptions"] = credentials
    return full


def count_nodes(number: int) -> str:
    return "1 node" if number == 1 else f"{number} nodes"


class FakeSwarm:
    """`nodes`, `services` and `tasks` are what is there now. The first node is the engine's own."""

    def __init__(self, find_image: FindImage) -> None:
        self.nodes: dict[str, Json] = {}
        self.services: dict[str, FakeService] = {}
        self.tasks: list[FakeTask] = []
        self.is_manager = True  # of the engine's own node
        self.objects: dict[str, tuple[str, Json]] = {}  # configs and secrets: id -> kind and what the list answers
        self.leaderless = ""  # what a manager says while there is no leader
        self._find_image = find_image
        self._serial = itertools.count(1)
        self._index = 10

    # Arranging, for tests

    def add_node(self, hostname: str, *, role: str = "worker", memory: int = 4 << 30) -> str:
        """A node with so many bytes to reserve; its id."""
        node_id = self._make_id("node")
        now = self._now()
        self.nodes[node_id] = {
            "ID": node_id,
            "Version": {"Index": self._next_index()},
            "CreatedAt": now,
            "UpdatedAt": now,
            "Spec": {"Labels": {}, "Role": role, "Availability": "active"},
            "Description": {
                "Hostname": hostname,
                "Platform": {"Architecture": "x86_64", "OS": "linux"},
                "Resources": {"NanoCPUs": 2_000_000_000, "MemoryBytes": memory},
                "Engine": {"EngineVersion": "20.10.24", "Plugins": []},
                "TLSInfo": {},
            },
            "Status": {"State": "ready", "Addr": f"10.77.0.{len(self.nodes) + 1}"},
        }
        if role == "manager":
            is_first = not any("ManagerStatus" in node for node in self.nodes.values())
            self.nodes[node_id]["ManagerStatus"] = {
                "Reachability": "reachable",
                "Addr": f"10.77.0.{len(self.nodes)}:2377",
                **({"Leader": True} if is_first else {}),
            }
        return node_id

    def set_node(self, hostname: str, *, state: str = "", availability: str = "") -> None:
        """`state` such as "down" or "ready", `availability` "active", "pause" or "drain"."""
        node = next(node for node in self.nodes.values() if node["Description"]["Hostname"] == hostname)
        node["Version"]["Index"] = self._next_index()
        if state:
            node["Status"]["State"] = state
        if availability:
            node["Spec"]["Availability"] = availability

    def create_service(self, spec: Mapping[str, Any], credentials: str = "") -> str:
        """`spec` as POST /services/create has it; the id."""
        if any(service.name == spec["Name"] for service in self.services.values()):
            raise EngineRefused(f"name conflicts with an existing object: {spec['Name']}")
        now, index = self._now(), self._next_index()
        service_id = self._make_id("service")
        self.services[service_id] = FakeService(service_id, complete_spec(spec, credentials), index, index, now, now)
        return service_id

    def add_object(self, kind: Literal["config", "secret"], name: str, labels: Json | None = None) -> str:
        """The id. A service uses it where its ContainerSpec names it."""
        object_id = self._make_id(kind)
        self.objects[object_id] = (kind, {"ID": object_id, "Spec": {"Name": name, "Labels": labels or {}}})
        return object_id

    def remove_service(self, name: str) -> None:
        """With its tasks, as if a long time had passed since."""
        service = self.find_service(name)
        del self.services[service.id]
        self.tasks = [task for task in self.tasks if task.service_id != service.id]

    def settle(self, steps: int = 60) -> None:
        """As if a long time had passed."""
        for _ in range(steps):
            self.step()

    def find_service(self, name: str) -> FakeService:
        """By name or id. Raises TargetMissing."""
        for service in self.services.values():
            if name in (service.id, service.name):
                return service
        raise TargetMissing(f"service {name} not found")

    def find_task(self, task_id: str) -> FakeTask:
        """Raises TargetMissing."""
        for task in self.tasks:
            if task.id == task_id:
                return task
        raise TargetMissing(f"task {task_id} not found")

    def tasks_of(self, service: str) -> list[FakeTask]:
        found = self.find_service(service)
        return [task for task in self.tasks if task.service_id == found.id]

    def describe(self) -> Json:
        """The part of the engine's info that is about its Swarm."""
        own, *_ = self.nodes.values()
        common = {"NodeID": own["ID"], "NodeAddr": own["Status"]["Addr"], "LocalNodeState": "active", "Error": ""}
        if not self.is_manager:
            return {**common, "ControlAvailable": False}
        managers = [node for node in self.nodes.values() if "ManagerStatus" in node]
        remote = [{"NodeID": node["ID"], "Addr": node["ManagerStatus"]["Addr"]} for node in managers]
        counts = {"Nodes": len(self.nodes), "Managers": len(managers)}
        return {**common, "ControlAvailable": True, "RemoteManagers": remote, **counts, "Cluster": {"ID": "fakecluster"}}

    # The API

    def list_services(self, filters: Json | None) -> list[Json]:
        self.step()
        found = self.services.values()
        return [service.describe() for service in found if service_matches(service, filters or {})]

    def inspect_service(self, name: str) -> Json:
        self.step()
        return self.find_service(name).describe()

    def list_tasks(self, filters: Json | None) -> list[Json]:
        self.step()
        wanted = dict(filters or {})
        if names := wanted.pop("service", None):
            wanted["service"] = {self.find_service(name).id for name in ([names] if isinstance(names, str) else names)}
        return [task.describe() for task in reversed(self.tasks) if task_matches(task, wanted)]

    def list_nodes(self) -> list[Json]:
        return copy.deepcopy(list(self.nodes.values()))

    def update_service(self, name: str, version: int, spec: Mapping[str, Any], credentials: str) -> None:
        service = self._checked(name, version)
        kept = service.spec["TaskTemplate"]["ContainerSpec"].get("PullOptions", "")
        service.previous, service.previous_version = service.spec, service.spec_version
        service.spec, service.spec_version = complete_spec(spec, credentials or kept), self._next_index()
        service.status = None
        template, before = service.spec["TaskTemplate"], service.previous["TaskTemplate"]
        if service.is_job and template["ForceUpdate"] != before["ForceUpdate"]:
            self._start_iteration(service)
        self._restart_rollout(service)
        self._touch(service)

    def roll_back_service(self, name: str, version: int) -> None:
        service = self._checked(name, version)
        if service.previous is None:
            raise EngineRefused("service does not have a previous spec")
        service.spec, service.previous = service.previous, service.spec
        service.spec_version, service.previous_version = service.previous_version, service.spec_version
        started = self._now()
        service.status = {"State": "rollback_started", "StartedAt": started, "Message": "manually requested rollback"}
        self._restart_rollout(service)
        self._touch(service)

    def delete_service(self, name: str) -> None:
        service = self.find_service(name)
        del self.services[service.id]
        for task in self.tasks:
            if task.service_id == service.id:
                self._change(task, desired="remove")

    def list_objects(self, kind: str, filters: Json | None) -> list[Json]:
        wanted = [word.partition("=") for word in (filters or {}).get("label") or []]
        return [
            copy.deepcopy(found)
            for found_kind, found in self.objects.values()
            if found_kind == kind and all(found["Spec"]["Labels"].get(key) == text for key, _, text in wanted)
        ]

    def remove_object(self, kind: str, object_id: str) -> None:
        if self.objects.get(object_id, ("",))[0] != kind:
            raise TargetMissing(f"{kind} {object_id} not found")
        if self.uses(kind, object_id):
            raise EngineRefused(f"rpc error: code = InvalidArgument desc = {kind} '{object_id}' is in use by a service")
        del self.objects[object_id]

    def uses(self, kind: str, object_id: str) -> bool:
        """Whether a service, or of a network a task that has not ended, refers to it."""
        specs = [service.spec["TaskTemplate"] for service in self.services.values()]
        if kind == "network":
            specs += [task.spec for task in self.tasks if not task.has_ended]
            return any(entry.get("Target") == object_id for spec in specs for entry in spec.get("Networks") or [])
        key = {"config": "Configs", "secret": "Secrets"}[kind]
        used = [entry for spec in specs for entry in spec["ContainerSpec"].get(key) or []]
        return any(entry.get(f"{kind.capitalize()}ID") == object_id for entry in used)

    def _checked(self, name: str, version: int) -> FakeService:
        service = self.find_service(name)
        if version != service.version:
            raise EngineRefused("rpc error: code = Unknown desc = update out of sequence", code="out_of_sequence")
        return service

    # The orchestrator

    def step(self) -> None:
        for service in list(self.services.values()):
            self._replace_lost(service)
            self._reconcile(service)
            self._roll(service)
        for task in self.tasks:
            self._advance(task)
        self.tasks = [task for task in self.tasks if not (task.desired == "remove" and task.has_ended)]

    def _live(self, service: FakeService) -> list[FakeTask]:
        return [task for task in self.tasks if task.service_id == service.id and task.is_live]

    def _replace_lost(self, service: FakeService) -> None:
        """Tasks that have ended by themselves, or whose node is gone, give way to new ones as the restart policy says."""
        for task in self.tasks_of(service.id):
            if task.desired not in ("ready", "running", "complete") or (service.is_job and task.state == "complete"):
                continue
            if not (task.has_ended or self._has_lost_node(task)):
                continue
            self._change(task, desired="shutdown")
            if self._may_restart(service, task):
                successor = self._add_task(service, task.slot, "ready", hold=HOLD)
                if service.mode.startswith("Global"):
                    successor.node_id = task.node_id

    def _has_lost_node(self, task: FakeTask) -> bool:
        node = self.nodes.get(task.node_id)
        return node is not None and (node["Status"]["State"] == "down" or node["Spec"]["Availability"] == "drain")

    def _may_restart(self, service: FakeService, task: FakeTask) -> bool:
        policy = service.spec["TaskTemplate"].get("RestartPolicy") or {}
        condition = policy.get("Condition") or "any"
        if condition == "none" or (condition == "on-failure" and task.state == "complete"):
            return False
        if service.mode.startswith("Global") and self._has_lost_node(task):
            return False
        alike = [other for other in self.tasks_of(service.id) if other.slot == task.slot and other.spec == task.spec]
        return not policy.get("MaxAttempts") or len(alike) <= policy["MaxAttempts"]

    def _reconcile(self, service: FakeService) -> None:
        if service.mode == "Replicated":
            self._reconcile_replicas(service, service.spec["Mode"]["Replicated"].get("Replicas") or 0)
        elif service.mode.startswith("Global"):
            self._reconcile_nodes(service)
        else:
            self._reconcile_completions(service)

    def _reconcile_replicas(self, service: FakeService, wanted: int) -> None:
        live = self._live(service)
        given_up = {task.slot for task in self.tasks_of(service.id) if task.desired == "shutdown" and task.state in ENDED}
        slots = {task.slot for task in live}
        given_up -= slots
        if not self._restarts_always(service):
            slots |= given_up
        free = (slot for slot in itertools.count(1) if slot not in slots)
        for slot in itertools.islice(free, max(wanted - len(slots), 0)):
            self._add_task(service, slot, "running")
        running = {task.slot for task in live if task.state == "running"}
        keep = sorted({task.slot for task in live}, key=lambda slot: (slot not in running, slot))[:wanted]
        for task in live:
            if task.slot not in keep:
                self._change(task, desired="remove")
        if len(slots) > wanted:
            for task in self.tasks_of(service.id):
                if task.slot not in keep and task.desired == "shutdown":
                    self._change(task, desired="remove")

    def _restarts_always(self, service: FakeService) -> bool:
        policy = service.spec["TaskTemplate"].get("RestartPolicy") or {}
        return (policy.get("Condition") or "any") == "any" and not policy.get("MaxAttempts")

    def _reconcile_nodes(self, service: FakeService) -> None:
        present = {task.node_id for task in self.tasks_of(service.id) if self._counts(service, task)}
        for node_id, node in self.nodes.items():
            usable = node["Status"]["State"] == "ready" and node["Spec"]["Availability"] == "active"
            if usable and node_id not in present and not self._misses_constraint(service.spec["TaskTemplate"], node):
                self._add_task(service, 0, "complete" if service.is_job else "running").node_id = node_id

    def _reconcile_completions(self, service: FakeService) -> None:
        wanted = service.spec["Mode"][service.mode]
        total = wanted.get("TotalCompletions") or wanted.get("MaxConcurrent") or 1
        own = [task for task in self.tasks_of(service.id) if self._counts(service, task)]
        slots = {task.slot for task in own}
        room = (wanted.get("MaxConcurrent") or 1) - len([task for task in own if not task.has_ended])
        for slot in [slot for slot in range(total) if slot not in slots][: max(room, 0)]:
            self._add_task(service, slot, "complete")

    def _counts(self, service: FakeService, task: FakeTask) -> bool:
        """Whether its place is taken: it lives, has done its job, or has been given up."""
        if service.is_job and task.iteration != service.iteration:
            return False
        return task.is_live or task.state in ("complete", "failed", "rejected")

    def _start_iteration(self, service: FakeService) -> None:
        service.iteration += 1
        for task in self._live(service):
            self._change(task, desired="remove")

    # The rollout

    def _restart_rollout(self, service: FakeService) -> None:
        service.rolled, service.failures, service.monitored = [], set(), 0
        service.total = max(len(self._dirty(service)), 1)

    def _dirty(self, service: FakeService) -> list[FakeTask]:
        """Live tasks of another spec, unless their successor is on its way."""
        live, template = self._live(service), service.spec["TaskTemplate"]
        old = [task for task in live if task.spec_version != service.spec_version and task.spec != template]
        taken = {task.place for task in live if task not in old}
        return [task for task in old if task.place not in taken]

    def _roll(self, service: FakeService) -> None:
        state = (service.status or {}).get("State")
        dirty = [] if service.is_job else self._dirty(service)
        if state is None and dirty:
            service.status = {"State": "updating", "StartedAt": self._now(), "Message": "update in progress"}
            service.total = len(dirty)
            self._touch(service)
        if service.status is None or service.status["State"] not in ("updating", "rollback_started"):
            return
        if self._act_on_failure(service):
            return
        config = self._read_config(service)
        # Also one on a lost node, which will never run: Swarm waits for it until the spec changes.
        under_way = [task for task in service.rolled if task.state != "running" and not task.has_ended]
        room = (config["Parallelism"] or len(dirty)) - len(under_way)
        for task in dirty[: max(room, 0)]:
            service.rolled.append(self._succeed(service, task, config["Order"]))
        if not dirty and not under_way:
            service.monitored += 1
            if service.monitored > HOLD or not service.rolled:
                self._end_rollout(service, "completed")

    def _read_config(self, service: FakeService) -> Json:
        is_rollback = service.status is not None and service.status["State"].startswith("rollback")
        return {**UPDATE_DEFAULTS, **(service.spec.get("RollbackConfig" if is_rollback else "UpdateConfig") or {})}

    def _succeed(self, service: FakeService, task: FakeTask, order: str) -> FakeTask:
        if order == "start-first":
            successor = self._add_task(service, task.slot, "running")
        else:
            self._change(task, desired="shutdown")
            successor = self._add_task(service, task.slot, "ready")
            successor.waits_for = task
        if service.mode == "Global":
            successor.node_id = task.node_id
        return successor

    def _act_on_failure(self, service: FakeService) -> bool:
        """Whether the rollout has turned round or stopped."""
        config = self._read_config(service)
        for task in service.rolled:
            ended_by_itself = task.state in ("failed", "rejected", "complete")
            if config["FailureAction"] == "continue" or not ended_by_itself or task.id in service.failures:
                continue
            service.failures.add(task.id)
            if len(service.failures) / service.total > (config["MaxFailureRatio"] or 0):
                self._take_back(service, task, config["FailureAction"])
                return True
        return False

    def _take_back(self, service: FakeService, task: FakeTask, action: str) -> None:
        assert service.status
        is_rollback = service.status["State"] == "rollback_started"
        if action == "rollback" and not is_rollback and service.previous is not None:
            service.spec, service.spec_version, service.previous = service.previous, service.previous_version, None
            service.status["State"] = "rollback_started"
            service.status["Message"] = f"update rolled back due to failure or early termination of task {task.id}"
            self._restart_rollout(service)
            self._touch(service)
            return
        word = "rollback" if action == "rollback" else "update"
        self._end_rollout(service, "paused", f"{word} paused due to failure or early termination of task {task.id}")

    def _end_rollout(self, service: FakeService, end: Literal["completed", "paused"], message: str = "") -> None:
        assert service.status
        is_rollback = service.status["State"] == "rollback_started"
        service.status["State"] = f"rollback_{end}" if is_rollback else end
        service.status["Message"] = message or ("rollback completed" if is_rollback else "update completed")
        if end == "completed":
            service.status["CompletedAt"] = self._now()
        self._touch(service)

    # Tasks

    def _add_task(self, service: FakeService, slot: int, desired: str, hold: int = 0) -> FakeTask:
        now = self._now()
        task = FakeTask(
            id=self._make_id("task"),
            service_id=service.id,
            slot=slot,
            spec=copy.deepcopy(service.spec["TaskTemplate"]),
            spec_version=service.spec_version,
            desired=desired,
            created=now,
            updated=now,
            version=self._next_index(),
            iteration=service.iteration if service.is_job else None,
            hold=hold,
            service_name=service.name,
            service_labels=dict(service.spec["Labels"]),
        )
        self.tasks.append(task)
        return task

    def _advance(self, task: FakeTask) -> None:
        """One state on, unless its node cannot be heard."""
        node = self.nodes.get(task.node_id)
        if task.has_ended or (node and node["Status"]["State"] == "down"):
            return
        if task.desired in ("shutdown", "remove"):
            self._change(task, state="shutdown", message="shutdown")
            return
        self._release(task)
        if task.state == "new":
            self._change(task, state="pending", message="pending task scheduling")
        elif task.state == "pending":
            self._place(task)
        elif task.state == "assigned":
            self._change(task, state="preparing", message="preparing")
        elif task.state == "preparing":
            self._prepare(task)
        elif task.state == "ready" and task.desired != "ready":
            self._change(task, state="starting", message="starting", container_id=make_id("container", task.id))
        elif task.state in ("starting", "running"):
            self._run(task)

    def _release(self, task: FakeTask) -> None:
        """A task that waits may run when its delay is over and the one before it has ended; an older one then has to go."""
        if task.desired == "ready":
            task.hold -= 1
            before = task.waits_for
            if task.hold <= 0 and (before is None or before.has_ended or self._has_lost_node(before)):
                service = self.services[task.service_id]
                self._change(task, desired="complete" if service.is_job else "running")
        if task.state == "running":
            for other in self.tasks:
                if other.service_id == task.service_id and other.place == task.place and self._is_older(other, task):
                    self._change(other, desired="shutdown")

    def _is_older(self, other: FakeTask, task: FakeTask) -> bool:
        return other.is_live and other.iteration is None and other.created < task.created

    def _place(self, task: FakeTask) -> None:
        refusals: Counter[str] = Counter()
        suitable = []
        for node in self.nodes.values() if not task.node_id else [self.nodes[task.node_id]]:
            if refusal := self._find_refusal(task, node):
                refusals[refusal] += 1
            else:
                suitable.append(node)
        if suitable:
            load = Counter(other.node_id for other in self.tasks if other.is_live)
            chosen = min(suitable, key=lambda node: load[node["ID"]])
            self._change(task, state="assigned", message="scheduler assigned task to node", node_id=chosen["ID"], error="")
            return
        reasons = [refusal.format(count_nodes(number)) for refusal, number in refusals.most_common()]
        error = f"no suitable node ({'; '.join(reasons)})"
        if task.error != error:
            self._change(task, error=error)

    def _find_refusal(self, task: FakeTask, node: Json) -> str:
        """Why the scheduler passes the node over; a format for the number of such nodes."""
        if node["Status"]["State"] != "ready" or node["Spec"]["Availability"] != "active":
            return "{} not available for new tasks"
        used = sum(reserved_memory(t.spec) for t in self.tasks if t.node_id == node["ID"] and not t.has_ended)
        if used + reserved_memory(task.spec) > node["Description"]["Resources"]["MemoryBytes"]:
            return "insufficient resources on {}"
        return "scheduling constraints not satisfied on {}" if self._misses_constraint(task.spec, node) else ""

    def _misses_constraint(self, template: Json, node: Json) -> bool:
        facts = {
            "node.id": node["ID"],
            "node.hostname": node["Description"]["Hostname"],
            "node.role": node["Spec"]["Role"],
            **{f"node.labels.{name}": value for name, value in node["Spec"]["Labels"].items()},
        }
        for constraint in (template.get("Placement") or {}).get("Constraints") or []:
            name, sign, value = constraint.partition("!=") if "!=" in constraint else constraint.partition("==")
            if (facts.get(name.strip()) == value.strip()) != (sign == "=="):
                return True
        return False

    def _prepare(self, task: FakeTask) -> None:
        container = task.spec["ContainerSpec"]
        if self._find_image(container["Image"], container.get("PullOptions", "")) is None:
            reference = container["Image"].partition("@")[0]
            self._change(task, state="rejected", message="preparing", error=f"No such image: {reference}")
        else:
            self._change(task, state="ready", message="prepared")

    def _run(self, task: FakeTask) -> None:
        container = task.spec["ContainerSpec"]
        image = self._find_image(container["Image"], container.get("PullOptions", "")) or {}
        body = {"Entrypoint": container.get("Command"), "Cmd": container.get("Args")}
        arguments, entrypoint = merge_command(body, image)
        command = [*(entrypoint or []), *(arguments or [])]
        health_check = (container.get("Healthcheck") or image.get("Healthcheck") or {}).get("Test") or []
        if command[:1] == CANNOT_START:
            error = 'starting container failed: OCI runtime create failed: exec: "/bin/not-there": no such file or directory'
            self._change(task, state="failed", message="starting", error=f"{error}: unknown", exit_code=127)
        elif task.state == "starting" and health_check[-1:] == ["/bin/false"]:
            self._stop_unhealthy(task, image)
        elif task.state == "starting":
            self._change(task, state="running", message="started")
        elif command[:1] == CRASHES:
            self._change(task, state="failed", error="task: non-zero exit (1)", exit_code=1)
        elif command[:1] == COMPLETES:
            self._change(task, state="complete", message="finished")

    def _stop_unhealthy(self, task: FakeTask, image: Json) -> None:
        if image.get("StopSignal") == "SIGKILL":
            error = "task: non-zero exit (137): dockerexec: unhealthy container"
            self._change(task, state="failed", message="started", error=error, exit_code=137)
        else:
            self._change(task, state="complete", message="finished")

    def _change(self, task: FakeTask, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(task, name, value)
        task.version, task.updated = self._next_index(), self._now()

    def _touch(self, service: FakeService) -> None:
        service.version, service.updated = self._next_index(), self._now()

    def _next_index(self) -> int:
        self._index += 1
        return self._index

    def _make_id(self, kind: str) -> str:
        return make_id(kind, next(self._serial))[:25]

    def _now(self) -> str:
        """Later than everything before, to the engine's nanoseconds."""
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(self._serial))
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def reserved_memory(template: Json) -> int:
    """Bytes."""
    return int(((template.get("Resources") or {}).get("Reservations") or {}).get("MemoryBytes") or 0)


def service_matches(service: FakeService, filters: Json) -> bool:
    """`id` and `name` (a beginning is enough) and `label`, each a word or a list of words."""
    for kind, value in filters.items():
        words = [value] if isinstance(value, str) else list(value)
        if kind == "id":
            passed = any(service.id.startswith(word) for word in words)
        elif kind == "name":
            passed = any(service.name.startswith(word) for word in words)
        elif kind == "label":
            labels = service.spec["Labels"]
            parted = (word.partition("=") for word in words)
            passed = all(labels.get(key) == text if sign else key in labels for key, sign, text in parted)
        else:
            raise NotImplementedError(f"FakeSwarm knows no filter {kind!r} of services.")
        if not passed:
            return False
    return True


def task_matches(task: FakeTask, filters: Json) -> bool:
    """`service` (ids), `node` (ids), `id`, `desired-state`, and of its service `label` and `name` (a beginning is enough)."""
    for kind, value in filters.items():
        words = {value} if isinstance(value, str) else set(value)
        if kind == "label":
            parted = (word.partition("=") for word in words)
            if not all(
                task.service_labels.get(key) == text if sign else key in task.service_labels for key, sign, text in parted
            ):
                return False
            continue
        if kind == "name":
            if not any(f"{task.service_name}.{task.slot}".startswith(word) for word in words):
                return False
            continue
        facts = {"service": task.service_id, "node": task.node_id, "id": task.id, "desired-state": task.desired}
        if kind not in facts:
            raise NotImplementedError(f"FakeSwarm knows no filter {kind!r} of tasks.")
        if facts[kind] not in words:
            return False
    return True

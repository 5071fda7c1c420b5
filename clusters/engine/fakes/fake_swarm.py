"""FakeEngine's Swarm: services, tasks and nodes in memory, updated in the way of Swarm's orchestrator.

It has no clock: each request for services or tasks takes everything one step further, such as each task to its next state.
Every delay and monitor period is a few steps long. `tests/integration/test_swarm_contract.py` runs the same tests on a real
Swarm.

A task's image and command decide what it does, as `clusters.engine.fakes.fake_engine` says. In addition:
- with the command COMPLETES, it exits at once with code 0;
- with a health check that runs /bin/false, it never runs and is stopped: it is `complete` where the image's stop signal can be
  handled, and `failed` where its StopSignal is SIGKILL;
- with an image that neither a registry nor the node has, or whose registry requires other credentials, it is rejected.
"""

from collections.abc import Mapping
from typing import Any, Literal

from clusters.engine.errors import EngineRefused, TargetMissing
from clusters.engine.fakes.copying import copy_of
from clusters.engine.fakes.fake_containers import Json, has_labels
from clusters.engine.fakes.fake_orchestrator import FakeOrchestrator
from clusters.engine.fakes.fake_services import FakeService, complete_spec, service_matches, task_matches


class FakeSwarm(FakeOrchestrator):
    """`nodes`, `services` and `tasks` are what is there now. The first node is the engine's own."""

    # Arranging, for tests

    def add_node(self, hostname: str, *, role: str = "worker", memory: int = 4 << 30) -> str:
        """Add a node and return its id. `memory` is in bytes."""
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
        """Change a node. `state` is "down" or "ready", `availability` is "active", "pause" or "drain"."""
        node = next(node for node in self.nodes.values() if node["Description"]["Hostname"] == hostname)
        node["Version"]["Index"] = self._next_index()
        if state:
            node["Status"]["State"] = state
        if availability:
            node["Spec"]["Availability"] = availability

    def create_service(self, spec: Mapping[str, Any], credentials: str = "") -> str:
        """Create a service and return its id. `spec` is the body of POST /services/create."""
        if any(service.name == spec["Name"] for service in self.services.values()):
            raise EngineRefused(f"name conflicts with an existing object: {spec['Name']}")
        now, index = self._now(), self._next_index()
        service_id = self._make_id("service")
        self.services[service_id] = FakeService(service_id, complete_spec(spec, credentials), index, index, now, now)
        return service_id

    def add_object(self, kind: Literal["config", "secret"], name: str, labels: Json | None = None) -> str:
        """Add a config or a secret and return its id. A service uses it where its ContainerSpec names it."""
        object_id = self._make_id(kind)
        self.objects[object_id] = (kind, {"ID": object_id, "Spec": {"Name": name, "Labels": labels or {}}})
        return object_id

    def remove_service(self, name: str) -> None:
        """Remove a service and its tasks, as they are long after a removal."""
        service = self.find_service(name)
        del self.services[service.id]
        self.tasks = [task for task in self.tasks if task.service_id != service.id]

    def settle(self, steps: int = 60) -> None:
        """Take enough steps for everything to come to rest."""
        for _ in range(steps):
            self.step()

    def describe(self) -> Json:
        """Return the part of GET /info that is about the Swarm."""
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
        return copy_of(list(self.nodes.values()))

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
        wanted = (filters or {}).get("label") or []
        return [
            copy_of(found)
            for found_kind, found in self.objects.values()
            if found_kind == kind and has_labels(found["Spec"]["Labels"], wanted)
        ]

    def remove_object(self, kind: str, object_id: str) -> None:
        if self.objects.get(object_id, ("",))[0] != kind:
            raise TargetMissing(f"{kind} {object_id} not found")
        if self.uses(kind, object_id):
            raise EngineRefused(f"rpc error: code = InvalidArgument desc = {kind} '{object_id}' is in use by a service")
        del self.objects[object_id]

    def uses(self, kind: str, object_id: str) -> bool:
        """Return whether a service refers to the object; for a network, also whether a task that has not ended does."""
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

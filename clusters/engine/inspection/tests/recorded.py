"""An engine that answers with lists in Docker 20.10's form, and records the requests."""

from collections.abc import Iterable
from typing import Any

from clusters.engine.errors import EngineError, TargetMissing

VERSION = {"Version": "20.10.24", "ApiVersion": "1.41", "Os": "linux", "Arch": "amd64"}
INFO = {
    "ID": "MMFL:RTWL:GNDN",
    "Name": "build-7",
    "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
    "Architecture": "x86_64",
    "NCPU": 2,
    "MemTotal": 8_000_000_000,
    "SystemTime": "2026-11-22T23:27:23.186256431Z",
    "Swarm": {"LocalNodeState": "inactive", "ControlAvailable": False},
}
IMAGE = "sha256:" + "1" * 64
DIGEST = "sha256:" + "d" * 64


def entry(name: str, **changes: Any) -> dict[str, Any]:
    """Return a line of `GET /containers/json?all=1` for a running lone container."""
    line = {
        "Id": f"{abs(hash(name)):x}".ljust(64, "0")[:64],
        "Names": [f"/{name}"],
        "Image": "app:1",
        "ImageID": IMAGE,
        "Created": 1_795_390_040,
        "Ports": [],
        "Labels": {},
        "State": "running",
        "Status": "Up 2 seconds",
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": ""}}},
        "Mounts": [],
    }
    return line | changes


def compose_entry(project: str, service: str, number: int = 1, **changes: Any) -> dict[str, Any]:
    labels = {
        "com.docker.compose.project": project,
        "com.docker.compose.service": service,
        "com.docker.compose.container-number": str(number),
        "com.docker.compose.oneoff": "False",
    }
    return entry(f"{project}_{service}_{number}", **{"Labels": labels | changes.pop("Labels", {}), **changes})


def swarm_service(name: str, stack: str = "", **changes: Any) -> dict[str, Any]:
    """Return a line of `GET /services`. `changes` are image, replicas, mode (the spec's Mode), labels, or a top-level field."""
    whole = f"{stack}_{name}" if stack else name
    image = changes.pop("image", f"app:1@{DIGEST}")
    mode = changes.pop("mode", {"Replicated": {"Replicas": changes.pop("replicas", 1)}})
    labels = {"com.docker.stack.namespace": stack, "com.docker.stack.image": "app:1"} if stack else {}
    template = {"ContainerSpec": {"Image": image, "Isolation": "default"}, "ForceUpdate": 0, "Runtime": "container"}
    spec = {"Name": whole, "Labels": labels | changes.pop("labels", {}), "TaskTemplate": template, "Mode": mode}
    line = {
        "ID": f"id-of-{whole}",
        "Version": {"Index": 12},
        "CreatedAt": "2026-11-23T02:14:45.34398186Z",
        "UpdatedAt": "2026-11-23T02:14:45.344733523Z",
        "Spec": spec | changes.pop("spec", {}),
        "Endpoint": {"Spec": {}},
    }
    return line | changes


def swarm_task(service: dict[str, Any], slot: int | None = 1, node: str = "node1", **changes: Any) -> dict[str, Any]:
    """Return a line of `GET /tasks` for a running task.

    `changes` are state, error, second (of its time), container, or a top-level field.
    """
    second = changes.pop("second", 47)
    moment = f"2026-11-23T02:{14 + second // 60:02}:{second % 60:02}.452118376Z"
    task_id = changes.get("ID") or f"task-{service['ID']}-{slot}-{node}-{second}"
    status: dict[str, Any] = {"Timestamp": moment, "State": changes.pop("state", "running"), "Message": "started"}
    if error := changes.pop("error", ""):
        status["Err"] = error
    container = changes.pop("container", "c" * 64)
    status |= {"ContainerStatus": {"ContainerID": container, "PID": 1, "ExitCode": changes.pop("exit_code", 0)}}
    line = {
        "ID": task_id,
        "Version": {"Index": 42},
        "CreatedAt": moment,
        "UpdatedAt": moment,
        "Spec": service["Spec"]["TaskTemplate"],
        "ServiceID": service["ID"],
        "NodeID": f"id-of-{node}",
        "Status": status | {"PortStatus": {}},
        "DesiredState": "running",
    }
    return line | ({"Slot": slot} if slot else {}) | changes


def swarm_node(hostname: str = "node1", **changes: Any) -> dict[str, Any]:
    """Return a line of `GET /nodes` for a worker that is ready. `changes` are state, or a top-level field."""
    description = {
        "Hostname": hostname,
        "Platform": {"Architecture": "x86_64", "OS": "linux"},
        "Resources": {"NanoCPUs": 2_000_000_000, "MemoryBytes": 8_000_000_000},
        "Engine": {"EngineVersion": "20.10.24+dfsg1"},
    }
    line = {
        "ID": f"id-of-{hostname}",
        "Version": {"Index": 9},
        "Spec": {"Labels": {}, "Role": "worker", "Availability": "active"},
        "Description": description,
        "Status": {"State": changes.pop("state", "ready"), "Addr": "10.77.0.11"},
    }
    return line | changes


class RecordedEngine:
    """Stands in for EngineClient where the test only reads."""

    def __init__(self, *containers: dict[str, Any], images: list[dict[str, Any]] | None = None) -> None:
        self.containers = list(containers)
        self.images = images if images is not None else [{"Id": IMAGE, "RepoTags": ["app:1"], "RepoDigests": ["app@sha256:ab"]}]
        self.info_changes: dict[str, Any] = {}
        self.version_changes: dict[str, Any] = {}
        self.references: dict[str, str] = {}
        self.services: list[dict[str, Any]] = []
        self.tasks: list[dict[str, Any]] = []
        self.nodes: list[dict[str, Any]] = []
        self.swarm_failure: EngineError | None = None
        self.address = "unix:///var/run/docker.sock"
        self.passed_over: tuple[str, ...] = ()
        self.requests: list[str] = []

    def version(self) -> dict[str, Any]:
        self.requests.append("version")
        return VERSION | self.version_changes

    def info(self) -> dict[str, Any]:
        self.requests.append("info")
        return INFO | self.info_changes

    def list_containers(self, filters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        self.requests.append("containers")
        return self.containers

    def list_images(self) -> list[dict[str, Any]]:
        self.requests.append("images")
        return self.images

    def inspect_container(self, container: str) -> dict[str, Any]:
        self.requests.append(f"inspect {container[:12]}")
        if container not in self.references:
            raise TargetMissing(f"No such container: {container}")
        return {"Id": container, "Config": {"Image": self.references[container]}}

    # As a Swarm manager

    def manage(
        self,
        services: Iterable[dict[str, Any]] = (),
        tasks: Iterable[dict[str, Any]] = (),
        nodes: Iterable[dict[str, Any]] = (),
    ) -> "RecordedEngine":
        self.services, self.tasks, self.nodes = list(services), list(tasks), list(nodes)
        return self.become("manager")

    def become(self, role: str, failure: EngineError | None = None) -> "RecordedEngine":
        """Become `manager` (whose Swarm requests fail with `failure`), `worker`, or any LocalNodeState."""
        state = "active" if role in {"manager", "worker"} else role
        self.info_changes = {"Swarm": {"LocalNodeState": state, "ControlAvailable": role == "manager"}}
        self.swarm_failure = failure
        return self

    def list_services(self, filters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        return self._answer("services", self.services)

    def list_tasks(self, filters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        wanted = (filters or {}).get("desired-state")
        return self._answer("tasks", [task for task in self.tasks if not wanted or task["DesiredState"] in wanted])

    def list_nodes(self) -> list[dict[str, Any]]:
        return self._answer("nodes", self.nodes)

    def _answer(self, request: str, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self.requests.append(request)
        if self.swarm_failure:
            raise self.swarm_failure
        return lines

"""Services and tasks: recorded from a Swarm of Docker 20.10 during updates and scalings, or made for a test."""

import json
from collections.abc import Iterator
from typing import Any

from clusters.engine.driver import Target
from clusters.engine.swarm.objects import SwarmNode, SwarmTask, make_swarm_service
from clusters.engine.swarm.observed import ServiceLook, SwarmTarget
from clusters.engine.tests.recording import FOLDER

NODES = {name: SwarmNode(f"{name}id000", name, "ready") for name in ("node1", "node2", "node3")}
NODES_BY_ID = {node.id: node for node in NODES.values()}
APP = "registry:5000/app:1"
PINNED = f"{APP}@sha256:{'a' * 64}"
MONITOR = 2_000_000_000  # nanoseconds


def replay(name: str) -> Iterator[tuple[float, ServiceLook]]:
    """Yield the looks of a recording, each with its second. A frame contains the changes since the last one."""
    service: dict[str, Any] = {}
    tasks: dict[str, dict[str, Any]] = {}
    for frame in json.loads((FOLDER / "swarm" / f"{name}.json").read_text()):
        service = frame.get("service", service)
        tasks |= {task["ID"]: task for task in frame.get("tasks", [])}
        for gone in frame.get("gone", []):
            del tasks[gone]
        yield frame["at"], ServiceLook(make_swarm_service(service), tuple(map(SwarmTask, tasks.values())), NODES_BY_ID)


def service(
    name: str = "web",
    *,
    image: str = PINNED,
    force_update: int = 0,
    mode: dict[str, Any] | None = None,
    replicas: int = 2,
    stack: str = "",
    labels: dict[str, str] | None = None,
    container_labels: dict[str, str] | None = None,
    update_config: dict[str, Any] | None = None,
    version: int = 10,
    **rest: Any,
) -> dict[str, Any]:
    """Make a service as the engine lists it. `rest`: UpdatedAt, UpdateStatus, PreviousSpec, JobStatus."""
    stack_labels = {"com.docker.stack.namespace": stack} if stack else {}
    spec = {
        "Name": f"{stack}_{name}" if stack else name,
        "Labels": {**stack_labels, **(labels or {})},
        "TaskTemplate": {"ContainerSpec": {"Image": image, "Labels": container_labels or {}}, "ForceUpdate": force_update},
        "Mode": mode or {"Replicated": {"Replicas": replicas}},
        "UpdateConfig": {"Parallelism": 1, "Monitor": MONITOR, "FailureAction": "pause"} | (update_config or {}),
    }
    return {"ID": f"{spec['Name']}-id", "Version": {"Index": version}, "Spec": spec, **rest}


def task(
    slot: int = 1,
    state: str = "running",
    *,
    desired: str = "running",
    error: str = "",
    exit_code: int = 0,
    node: str = "node1",
    force_update: int = 0,
    image: str = PINNED,
    number: int = 0,
    service_id: str = "web-id",
    iteration: int | None = None,
    container_id: str = "",
    at: int = 0,
    made_at: str = "2026-01-01T00:00:00Z",
) -> SwarmTask:
    """Make a task. `number` distinguishes tasks of one slot; `at` is the second of its state."""
    status: dict[str, Any] = {"Timestamp": f"2026-01-01T00:00:{at:02}Z", "State": state, "Err": error}
    status["ContainerStatus"] = {"ExitCode": exit_code, "ContainerID": container_id}
    details: dict[str, Any] = {
        "ID": f"{service_id}-{slot}-{node}-{force_update}-{number}",
        "ServiceID": service_id,
        "CreatedAt": made_at,
        "Slot": slot,
        "NodeID": NODES[node].id if node else "",
        "Status": status,
        "DesiredState": desired,
        "Spec": {"ContainerSpec": {"Image": image}, "ForceUpdate": force_update},
    }
    if iteration is not None:
        details["JobIteration"] = {"Index": iteration}
    return SwarmTask(details)


def look(details: dict[str, Any] | None, *tasks: SwarmTask, down: tuple[str, ...] = ()) -> ServiceLook:
    nodes = {
        node.id: SwarmNode(node.id, node.hostname, "down" if node.hostname in down else "ready") for node in NODES.values()
    }
    return ServiceLook(make_swarm_service(details) if details else None, tasks, nodes)


def observe(*services: dict[str, Any], tasks: tuple[SwarmTask, ...] = (), service: str = "") -> SwarmTarget:
    """Observe services of one stack, or one lone service."""
    made = sorted(map(make_swarm_service, services), key=lambda item: item.name)
    stack = made[0].labels.get("com.docker.stack.namespace", "")
    target = Target(stack or made[0].full_name, "stack" if stack else "service", service)
    return SwarmTarget(target, tuple(made), tasks, NODES_BY_ID)

"""The nodes of a Swarm at a glance, from the JSON of `GET /nodes`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clusters.engine.cleaning import LARGEST_SIZE, NAME_LENGTH, TEXT_LENGTH, clean_count, clean_labels, clean_text
from clusters.engine.inspection.swarm_tasks import count_running_by_node

NANO_CPUS = 1_000_000_000  # the engine's unit, in one CPU


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


def read_nodes(nodes: Iterable[Mapping[str, Any]], tasks: Iterable[Mapping[str, Any]]) -> tuple[ObservedNode, ...]:
    running = count_running_by_node(tasks)
    return tuple(read_node(node, running[node["ID"]]) for node in nodes)


def read_node(node: Mapping[str, Any], task_count: int) -> ObservedNode:
    spec, status = node.get("Spec") or {}, node.get("Status") or {}
    description = node.get("Description") or {}
    platform, resources = description.get("Platform") or {}, description.get("Resources") or {}
    manager = node.get("ManagerStatus") or {}
    state = read_node_state(node)
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
        cpus=clean_count((resources.get("NanoCPUs") or 0) // NANO_CPUS),
        memory_bytes=clean_count(resources.get("MemoryBytes"), LARGEST_SIZE),
        labels=clean_labels(spec.get("Labels")),
        task_count=0 if state == "down" else task_count,
    )


def read_hostname(node: Mapping[str, Any]) -> str:
    """Return the node's host name, or the start of its id for a node that has never been up and has none."""
    return clean_text((node.get("Description") or {}).get("Hostname"), NAME_LENGTH) or clean_text(node["ID"], 12)


def read_node_state(node: Mapping[str, Any]) -> str:
    return clean_text((node.get("Status") or {}).get("State"), 16) or "unknown"

"""Where Swarm can put no second task of a service: known from its spec and the nodes, before anything is changed.

Swarm's scheduler accepts a node only if it has the host ports of a task free, and fewer tasks of the service than
`max_replicas_per_node` allows (moby/swarmkit, manager/scheduler/filter.go). With start-first, the next task needs that while
the one that it replaces still runs. So it would wait for ever, and the update would never fail by itself.
"""

from collections import Counter

from clusters.engine.swarm.observed import ServiceLook


def explain_no_room(look: ServiceLook) -> str:
    """Say, as a sentence, why the service cannot be updated start-first; empty where it may be possible."""
    service = look.service
    assert service
    if service.is_job or (service.spec.get("UpdateConfig") or {}).get("Order") != "start-first":
        return ""
    tasks = Counter(task.node_id for task in look.live if task.node_id)
    nodes = [node for node in look.nodes.values() if node.takes_tasks]
    if not tasks or not nodes:
        return ""
    ports = [str(port.get("PublishedPort")) for port in service.host_ports]
    if ports and all(tasks[node.id] for node in nodes):
        held = f"port{'s' if len(ports) > 1 else ''} {', '.join(ports)} of the host"
        return write_sentence(service.name, f"each task takes {held}, and every node has one")
    most = service.most_per_node
    if most and all(tasks[node.id] >= most for node in nodes):
        return write_sentence(service.name, f"a node may have {most} of its tasks (max_replicas_per_node), and every node has")
    return ""


def write_sentence(name: str, why: str) -> str:
    return (
        f"{name} is updated start-first, and no node has room for its next task: {why}. Nothing was touched. "
        "Set its update order to stop-first, or add a node."
    )

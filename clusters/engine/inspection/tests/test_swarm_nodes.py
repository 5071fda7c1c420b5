from clusters.engine.inspection.tests.recorded import swarm_node, swarm_service, swarm_task
from clusters.engine.inspection.tests.swarm_observing import observe, outline


def test_tasks_on_a_node_that_is_down_do_not_count_as_running():
    web = swarm_service("web", replicas=2)
    nodes = [swarm_node("node1"), swarm_node("node2", state="down")]
    found = observe([web], [swarm_task(web, 1, "node1"), swarm_task(web, 2, "node2")], nodes)
    assert outline(found) == {"service/web/web": ("degraded", 2, 1)}
    assert [(node.hostname, node.state, node.task_count) for node in found.nodes] == [
        ("node1", "ready", 1),
        ("node2", "down", 0),
    ]


def test_a_node_shows_what_its_managers_report():
    manager = {"Leader": True, "Reachability": "reachable", "Addr": "10.77.0.11:2377"}
    node = swarm_node(
        "node1", Spec={"Role": "manager", "Availability": "drain", "Labels": {"disk": "ssd"}}, ManagerStatus=manager
    )
    (found,) = observe([], [], [node]).nodes
    assert (found.hostname, found.address, found.role, found.leader) == ("node1", "10.77.0.11", "manager", True)
    assert (found.reachability, found.availability, found.state) == ("reachable", "drain", "ready")
    assert (found.engine_version, found.cpus, found.memory_bytes) == ("20.10.24+dfsg1", 2, 8_000_000_000)
    assert found.labels == {"disk": "ssd"}


def test_a_node_that_has_never_been_up_is_named_after_its_id():
    (found,) = observe([], [], [{"ID": "x9d8f7g6h5j4k3l2"}]).nodes
    assert (found.hostname, found.state, found.role) == ("x9d8f7g6h5j4", "unknown", "worker")

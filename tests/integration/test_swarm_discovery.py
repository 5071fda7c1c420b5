"""The inventory of a real Swarm: what it finds, how soon it follows, and what it shows when the Swarm cannot be observed."""

import threading
from collections.abc import Iterator

import pytest

from clusters import watch
from clusters.connection_check import check_connection
from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.errors import EngineUnreachable, NotManager, SwarmUnavailable
from clusters.inventory import sync_cluster
from clusters.models import Application, Cluster, Container, Node, Service, Task
from clusters.tests.factories import ClusterFactory
from clusters.watch import run_watcher
from tests.harness.engine import PrivateEngine
from tests.harness.eventually import eventually
from tests.harness.images import BASE, CRASH, SERVE
from tests.harness.projects import create_container
from tests.harness.swarm import PrivateSwarm, SwarmNode, run_swarm

pytestmark = pytest.mark.django_db(transaction=True)

PROMPTLY = 10.0  # seconds: long before the next full resync, so an event or a look must have brought the change


@pytest.fixture
def watcher(transactional_db):
    """A watcher that lives as long as the test. Call it to start it."""
    stop = threading.Event()
    thread = threading.Thread(target=run_watcher, args=(stop,), name="watcher")
    yield thread.start
    stop.set()
    if thread.ident:
        thread.join(8)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def module_managers() -> Iterator[PrivateSwarm]:
    with run_swarm(nodes=3, managers=3) as swarm:
        yield swarm


@pytest.fixture
def managers(module_managers: PrivateSwarm) -> Iterator[PrivateSwarm]:
    """Three managers that agree. They are repaired and emptied afterwards."""
    for node in module_managers.nodes:
        eventually(lambda node=node: find_role(node) == "manager", within=120, what=f"{node.name} is a manager")
    yield module_managers
    module_managers.reset()


def find_role(node: SwarmNode) -> str:
    return check_connection(node.endpoint).swarm_role


def make_cluster(*nodes: SwarmNode) -> Cluster:
    """Make a cluster that is reached through the network, at the first node and then at the others."""
    first, *others = (node.tcp_url for node in nodes)
    return ClusterFactory(url=first, other_urls="\n".join(others), status=Cluster.Status.UNKNOWN, engine_version="")


def outline() -> dict[str, tuple[str, int, int]]:
    """Return status, wanted and running by source/application/service."""
    return {
        f"{service.application.source}/{service.application.name}/{service.name}": (
            service.status,
            service.replicas,
            service.running,
        )
        for service in Service.objects.select_related("application")
    }


def expect(expected: dict[str, tuple[str, int, int]]) -> None:
    """Wait until the rows are as expected, which must be soon."""

    def probe() -> bool:
        assert outline() == expected
        return True

    eventually(probe, within=PROMPTLY, what="the rows are as expected")


def create_web(swarm: PrivateSwarm, *options: str) -> None:
    """Create a service and wait until its one task runs."""
    swarm.create_service("web", BASE, "--no-resolve-image", "--restart-delay=0s", *options, command=tuple(SERVE))
    swarm.wait_for_tasks("web", 1, within=60)


def read(cluster: Cluster) -> Cluster:
    return Cluster.objects.get(pk=cluster.pk)


def states() -> dict[str, str]:
    return dict(Node.objects.values_list("hostname", "state"))


def test_everything_on_a_swarm_is_found(swarm: PrivateSwarm):
    cluster = ClusterFactory(url=swarm.endpoint_url, status=Cluster.Status.UNKNOWN)
    reference = swarm.publish("shop", Cmd=SERVE)
    web = {
        "image": reference,
        "ports": [{"target": 80, "published": 8080, "mode": "host"}],
        "deploy": {
            "replicas": 1,
            "endpoint_mode": "dnsrr",
            "update_config": {"parallelism": 2, "order": "start-first", "delay": "1500ms", "failure_action": "rollback"},
        },
    }
    swarm.deploy_stack("shop", {"services": {"web": web, "agent": {"image": reference, "deploy": {"mode": "global"}}}})
    swarm.create_service("cache", reference, "--replicas=2", "--label=windlass.protected=true")
    swarm.create_service("none", reference, "--replicas=0")
    swarm.create_service("job", reference, "--mode=replicated-job", "--replicas=2", command=("/bin/true",))
    swarm.create_service("crash", reference, "--restart-condition=none", command=tuple(CRASH))
    with swarm.connect() as api:
        create_container(api, "redis", BASE, Cmd=SERVE)
    swarm.wait_for_tasks("shop_web", 1)
    swarm.wait_for_tasks("shop_agent", 1)
    swarm.wait_for_tasks("cache", 2)
    eventually(lambda: [t for t in swarm.list_tasks("crash") if t["Status"]["State"] == "failed"])
    eventually(lambda: [t["Status"]["State"] for t in swarm.list_tasks("job")] == ["complete", "complete"])

    sync_cluster(cluster)
    assert outline() == {
        "container/redis/redis": ("running", 1, 1),
        "service/cache/cache": ("running", 2, 2),
        "service/crash/crash": ("degraded", 1, 0),
        "service/job/job": ("stopped", 0, 0),
        "service/none/none": ("stopped", 0, 0),
        "stack/shop/agent": ("running", 1, 1),
        "stack/shop/web": ("running", 1, 1),
    }
    found = Service.objects.get(name="web")
    digest = swarm.registry.read_digest("shop", "1")
    assert (found.image, found.image_digests) == (reference, [f"{reference.rpartition(':')[0]}@{digest}"])
    assert found.ports == [{"container": 80, "protocol": "tcp", "host": 8080, "mode": "host"}]
    assert found.update_config == {
        "parallelism": 2,
        "order": "start-first",
        "delay": 1.5,
        "monitor": 5,
        "failure_action": "rollback",
        "max_failure_ratio": 0,
    }
    assert Service.objects.get(name="crash").last_error == "task: non-zero exit (1)"
    assert dict(Service.objects.values_list("name", "mode"))["job"] == "replicated-job"
    assert dict(Application.objects.values_list("name", "protected"))["cache"] is True
    assert list(Container.objects.values_list("name", flat=True)) == ["redis"]
    shown = {
        (task.name, task.node_name, task.state) for task in Task.objects.filter(service__name__in=("web", "agent", "crash"))
    }
    assert shown == {("web.1", "node1", "running"), ("agent.node1", "node1", "running"), ("crash.1", "node1", "failed")}
    node = Node.objects.get()
    assert (node.hostname, node.role, node.leader, node.state, node.availability) == (
        "node1",
        "manager",
        True,
        "ready",
        "active",
    )
    assert (node.address, node.task_count, read(cluster).swarm_manager) == (swarm.manager.address, 4, True)
    assert node.engine_version == read(cluster).engine_version


def test_the_history_of_a_slot_and_the_state_of_an_update_are_found(swarm: PrivateSwarm):
    cluster = ClusterFactory(url=swarm.endpoint_url, status=Cluster.Status.UNKNOWN)
    options = ("--no-resolve-image", "--update-monitor=1s", "--restart-delay=0s")
    swarm.create_service("web", BASE, *options, command=tuple(SERVE))
    swarm.wait_for_tasks("web", 1)
    swarm.docker("service", "update", "--detach", "--args", " ".join(CRASH), "web")
    eventually(lambda: (swarm.inspect_service("web").get("UpdateStatus") or {}).get("State") == "paused", within=30)

    def find_degraded() -> Service | None:  # each time Swarm tries again, the task runs for a moment
        sync_cluster(cluster)
        return Service.objects.filter(status="degraded").first()

    web = eventually(find_degraded, within=30)
    assert web.update_state == "paused"
    assert web.update_message.startswith("update paused due to failure")
    assert web.last_error.startswith("task: non-zero exit")
    past = [task for task in web.tasks.all() if not task.is_present]
    assert {task.state for task in past} >= {"failed", "shutdown"}
    assert {task.slot for task in past} == {1}


# Following


def test_rows_follow_changes_on_other_nodes_and_of_them(three_nodes: PrivateSwarm, watcher):
    make_cluster(three_nodes.manager)
    create_web(three_nodes, "--constraint=node.hostname==node3")
    watcher()
    expect({"service/web/web": ("running", 1, 1)})
    first = Task.objects.get().task_id
    three_nodes.docker("service", "scale", "--detach", "web=3")
    eventually(lambda: outline()["service/web/web"] == ("running", 3, 3), within=PROMPTLY)
    assert Node.objects.get(hostname="node3").task_count == 3

    with three_nodes.node("node3").connect() as api:  # a crash on another node: no event reaches the manager
        api.kill(Task.objects.get(task_id=first).container_id)
    eventually(lambda: Task.objects.get(task_id=first).state == "failed", within=PROMPTLY)
    eventually(lambda: outline()["service/web/web"] == ("running", 3, 3), within=PROMPTLY)

    three_nodes.docker("node", "update", "--availability=drain", "node2")
    eventually(lambda: Node.objects.get(hostname="node2").availability == "drain", within=PROMPTLY)
    three_nodes.node("node3").kill()
    eventually(lambda: states()["node3"] == "down", within=PROMPTLY)
    eventually(lambda: outline()["service/web/web"][0] == "degraded", within=PROMPTLY)
    three_nodes.docker("service", "rm", "web")
    expect({})


def test_an_engine_that_becomes_a_swarm_and_leaves_it_again_is_noticed(engine: PrivateEngine, api, watcher):
    cluster = ClusterFactory(url=engine.endpoint_url, status=Cluster.Status.UNKNOWN)
    watcher()
    eventually(lambda: read(cluster).status == "reachable")
    try:
        api.init_swarm(advertise_addr="127.0.0.1", listen_addr="127.0.0.1:2377")
        eventually(lambda: read(cluster).swarm_manager and Node.objects.count() == 1, within=PROMPTLY)
        api.create_service(
            {"ContainerSpec": {"Image": BASE, "Command": list(SERVE)}}, name="web", mode={"Replicated": {"Replicas": 0}}
        )
        expect({"service/web/web": ("stopped", 0, 0)})
    finally:
        api.leave_swarm(force=True)
    eventually(lambda: read(cluster).swarm_notice.endswith("cannot be seen: it has left its Swarm."), within=PROMPTLY)
    assert (outline(), Node.objects.count(), read(cluster).swarm_manager) == ({}, 0, False)


# Several managers


def test_a_worker_is_skipped(three_nodes: PrivateSwarm):
    manager, worker, _ = three_nodes.nodes
    with EngineClient(EngineEndpoint(worker.tcp_url, others=(manager.tcp_url,))) as client, client.sibling() as sibling:
        assert (client.address, sibling.address) == (manager.tcp_url, manager.tcp_url)
        assert client.passed_over[0].startswith(f"The engine at {worker.address}:2375 is not a Swarm manager: ")
        assert len(sibling.list_nodes()) == 3


def test_when_no_address_answers_each_is_named(three_nodes: PrivateSwarm):
    manager, worker, _ = three_nodes.nodes
    manager.cut_network()
    endpoint = EngineEndpoint(manager.tcp_url, others=(f"tcp://{worker.address}:1", worker.tcp_url))
    with pytest.raises(EngineUnreachable) as caught:
        EngineClient(endpoint)
    assert f"The engine at {manager.address}:2375" in caught.value.message
    assert f"The engine at {worker.address}:1 does not answer: connection refused." in caught.value.message
    assert f"The engine at {worker.address}:2375 is not a Swarm manager" in caught.value.message


def test_a_connection_test_reports_what_is_at_each_address(three_nodes: PrivateSwarm, engine: PrivateEngine):
    manager, worker, silent = three_nodes.nodes
    silent.cut_network()
    facts = check_connection(EngineEndpoint(manager.tcp_url, others=(silent.tcp_url, worker.tcp_url, engine.endpoint_url)))
    assert (facts.swarm_role, facts.hostname) == ("manager", "node1")
    assert [(found.address, found.swarm_role) for found in facts.addresses] == [
        (f"{manager.address}:2375", "manager"),
        (f"{silent.address}:2375", ""),
        (f"{worker.address}:2375", "worker"),
        (f"{engine.folder}/docker.sock", ""),
    ]
    assert facts.addresses[0].problem == ""
    assert facts.addresses[1].problem.startswith(f"The engine at {silent.address}:2375 ")
    assert facts.addresses[2].problem == "It is a Swarm worker, which cannot see stacks and services."
    assert facts.addresses[3].problem == "It is not part of a Swarm."


def test_the_next_manager_is_asked_while_the_first_is_lost(managers: PrivateSwarm, watcher):
    first, second, third = managers.nodes
    cluster = make_cluster(first, second, third)
    create_web(managers, "--constraint=node.hostname!=node1")
    with first.connect() as api:
        create_container(api, "redis", BASE, Cmd=SERVE)
    with second.connect() as api:
        create_container(api, "its-own", BASE, Cmd=SERVE)
    watcher()
    expected = {"service/web/web": ("running", 1, 1), "container/redis/redis": ("running", 1, 1)}
    expect(expected)

    first.kill()  # it is the leader too: the others need some time to elect the next one
    through = tuple(f"The Swarm is seen through {node.address}:2375." for node in (second, third))

    def probe() -> bool:
        found = read(cluster)
        assert (found.status, found.status_reason.endswith(through), found.swarm_notice) == ("reachable", True, "")
        return True

    eventually(probe, within=90, what="the Swarm is seen through another manager")
    assert read(cluster).status_reason.startswith(f"The engine at {first.address}:2375")
    eventually(lambda: states()["node1"] == "down", within=60)
    eventually(lambda: outline() == expected, within=60)  # its task may have moved in the meantime
    managers.docker("service", "scale", "--detach", "web=2")
    eventually(lambda: outline()["service/web/web"] == ("running", 2, 2), within=PROMPTLY)
    assert list(Container.objects.values_list("name", flat=True)) == ["redis"]


def test_a_manager_cut_off_from_the_others_is_left_for_one_that_is_not(managers: PrivateSwarm, watcher, monkeypatch):
    monkeypatch.setattr(watch, "RESYNC_SECONDS", 10)  # after this time the first address is tried again
    first, second, _ = managers.nodes
    cluster = ClusterFactory(url=first.endpoint_url, other_urls=second.tcp_url, status=Cluster.Status.UNKNOWN)
    create_web(managers, "--constraint=node.hostname!=node1")
    watcher()
    expect({"service/web/web": ("running", 1, 1)})
    first.cut_network()  # its socket still answers
    through = f"The Swarm is seen through {second.address}:2375."
    eventually(lambda: read(cluster).status_reason.endswith(through) and not read(cluster).swarm_notice, within=120)
    eventually(lambda: states()["node1"] == "down", within=60)
    first.restore_network()
    eventually(lambda: read(cluster).status_reason == "" and not read(cluster).swarm_notice, within=120)


def test_a_swarm_without_a_leader_says_so_and_the_engine_itself_is_still_followed(managers: PrivateSwarm, watcher):
    first, second, third = managers.nodes
    cluster = make_cluster(first)
    create_web(managers)
    watcher()
    expect({"service/web/web": ("running", 1, 1)})
    second.kill()
    third.kill()
    eventually(lambda: read(cluster).swarm_notice.startswith("node1 cannot see its Swarm at the moment: "), within=120)
    assert (read(cluster).status, read(cluster).swarm_manager) == ("reachable", True)
    with first.connect() as api:
        create_container(api, "redis", BASE, Cmd=SERVE)
    eventually(lambda: "container/redis/redis" in outline(), within=60)
    assert outline()["service/web/web"] == ("running", 1, 1)
    second.start()
    eventually(lambda: read(cluster).swarm_notice == "", within=120)


def test_a_lone_manager_that_becomes_a_worker_says_so_and_keeps_its_rows(managers: PrivateSwarm, watcher):
    _, second, _ = managers.nodes
    cluster = ClusterFactory(url=second.endpoint_url, status=Cluster.Status.UNKNOWN)
    create_web(managers)
    watcher()
    expect({"service/web/web": ("running", 1, 1)})
    managers.docker("node", "demote", "node2")
    eventually(lambda: find_role(second) == "worker", within=60, what="Swarm has made it a worker")
    sentence = "node2 is no longer a Swarm manager, so its stacks and services cannot be seen: it is a worker now."
    eventually(lambda: read(cluster).swarm_notice == sentence, within=PROMPTLY)
    assert read(cluster).status == "reachable"
    assert outline() == {"service/web/web": ("running", 1, 1)}
    with EngineClient(cluster.endpoint) as client, pytest.raises(NotManager):
        client.list_services()


def test_a_locked_manager_says_what_to_type_and_comes_back(watcher):
    with run_swarm() as swarm:
        node = swarm.manager
        cluster = ClusterFactory(url=swarm.endpoint_url, status=Cluster.Status.UNKNOWN)
        create_web(swarm)
        watcher()
        expect({"service/web/web": ("running", 1, 1)})
        swarm.docker("swarm", "update", "--autolock")
        key = swarm.docker("swarm", "unlock-key", "--quiet").strip()
        node.kill()
        node.launch()
        node.wait_until_ready()
        sentence = "it is locked. Run `docker swarm unlock` on that machine with the unlock key."
        notice = f"The Swarm of {node.name} cannot be seen: {sentence}"
        eventually(lambda: read(cluster).swarm_notice == notice, within=PROMPTLY)
        assert outline() == {"service/web/web": ("running", 1, 1)}
        with EngineClient(cluster.endpoint) as client, pytest.raises(SwarmUnavailable, match="Run `docker swarm unlock`"):
            client.list_services()
        swarm.docker("swarm", "unlock", text=key)
        eventually(lambda: read(cluster).swarm_notice == "", within=PROMPTLY)

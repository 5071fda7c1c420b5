"""A Swarm's rows: what is written, and what stays while the Swarm cannot be seen."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from clusters.engine.errors import NotManager, SwarmUnavailable
from clusters.engine.inspection.tests.recorded import RecordedEngine, entry, swarm_node, swarm_service, swarm_task
from clusters.inventory import observe_and_store
from clusters.models import Application, Cluster, Container, Node, Service, Task
from clusters.tests.factories import ClusterFactory

pytestmark = pytest.mark.django_db

OTHER = "tcp://10.77.0.12:2376"


@pytest.fixture
def cluster():
    return ClusterFactory(status=Cluster.Status.UNKNOWN, api_version="", engine_version="", other_urls=OTHER)


def rows(model, *fields):
    return list(model.objects.order_by("pk").values_list(*fields))


def make_swarm(*containers):
    web = swarm_service("web", "shop", replicas=2)
    tasks = [swarm_task(web, 1, "node1"), swarm_task(web, 2, "node2")]
    return RecordedEngine(*containers).manage([web], tasks, [swarm_node("node1"), swarm_node("node2")])


def notice_of(cluster):
    return Cluster.objects.get(pk=cluster.pk).swarm_notice


def written_tables(work):
    with CaptureQueriesContext(connection) as queries:
        work()
    return [query["sql"].split('"')[1] for query in queries if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]


def test_a_swarm_becomes_rows(cluster):
    observe_and_store(cluster, make_swarm(entry("redis")))
    assert rows(Application, "source", "name", "status", "wanted", "running") == [
        ("container", "redis", "running", 1, 1),
        ("stack", "shop", "running", 2, 2),
    ]
    web = Service.objects.get(name="web")
    assert (web.swarm_id, web.mode, web.replicas, web.image, web.image_id) == ("id-of-shop_web", "replicated", 2, "app:1", "")
    assert web.update_config["failure_action"] == "pause"
    assert {(task.name, task.node_name, task.state) for task in Task.objects.all()} == {
        ("web.1", "node1", "running"),
        ("web.2", "node2", "running"),
    }
    assert rows(Node, "hostname", "task_count") == [("node1", 1), ("node2", 1)]
    assert rows(Container, "name") == [("redis",)]
    cluster.refresh_from_db()
    assert (cluster.swarm_manager, cluster.swarm_notice) == (True, "")


def test_tasks_and_nodes_that_no_longer_exist_are_deleted(cluster):
    engine = make_swarm()
    observe_and_store(cluster, engine)
    engine.tasks, engine.nodes = engine.tasks[:1], engine.nodes[:1]
    observe_and_store(cluster, engine)
    assert (rows(Task, "slot"), rows(Node, "hostname")) == ([(1,)], [("node1",)])
    engine.services, engine.tasks = [], []
    observe_and_store(cluster, engine)
    assert (rows(Task, "pk"), rows(Service, "pk"), rows(Application, "pk")) == ([], [], [])


def test_only_what_changed_of_a_swarm_is_written(cluster):
    engine = make_swarm()
    observe_and_store(cluster, engine)
    assert written_tables(lambda: observe_and_store(cluster, engine)) == ["clusters_cluster"]
    engine.tasks[1]["Status"]["Message"] = "preparing"
    assert written_tables(lambda: observe_and_store(cluster, engine)) == ["clusters_cluster", "clusters_task"]
    engine.nodes[1]["Status"]["State"] = "unknown"
    assert written_tables(lambda: observe_and_store(cluster, engine)) == ["clusters_cluster", "clusters_node"]


def test_the_number_of_queries_does_not_grow_with_the_swarm(cluster):
    def count(number):
        services = [swarm_service(f"s{n}", f"stack{n % 7}") for n in range(number)]
        tasks = [swarm_task(service, slot) for service in services for slot in range(1, 6)]
        engine = RecordedEngine().manage(services, tasks, [swarm_node(f"node{n}") for n in range(number)])
        with CaptureQueriesContext(connection) as queries:
            observe_and_store(cluster, engine)
        return len(queries)

    added, removed = count(2), count(0)
    assert (count(12), count(0)) == (added, removed)
    assert added == 15
    count(12)
    assert (Task.objects.count(), Node.objects.count()) == (60, 12)


# A manager that stops being one


def test_a_manager_that_has_become_a_worker_says_so_and_its_rows_stay(cluster):
    engine = make_swarm(entry("redis"))
    observe_and_store(cluster, engine)
    before = rows(Application, "name", "status"), rows(Service, "name", "running"), rows(Task, "pk"), rows(Node, "pk")
    engine.become("worker")
    engine.containers = []
    observe_and_store(cluster, engine)
    sentence = "build-7 is no longer a Swarm manager, so its stacks and services cannot be seen: it is a worker now."
    assert notice_of(cluster) == sentence
    assert rows(Application, "name", "status") == [("shop", "running")]
    assert (rows(Service, "name", "running")[-1:], rows(Task, "pk"), rows(Node, "pk")) == (before[1][-1:], *before[2:])
    observe_and_store(cluster, engine)
    assert notice_of(cluster) == sentence
    cluster.refresh_from_db()
    assert (cluster.swarm_manager, cluster.status) == (False, "reachable")

    engine.become("manager")
    observe_and_store(cluster, engine)
    assert notice_of(cluster) == ""


def test_a_manager_that_has_left_its_swarm_no_longer_has_stacks(cluster):
    engine = make_swarm()
    observe_and_store(cluster, engine)
    observe_and_store(cluster, engine.become("inactive"))
    assert notice_of(cluster) == (
        "build-7 is no longer a Swarm manager, so its stacks and services cannot be seen: it has left its Swarm."
    )
    assert (rows(Application, "pk"), rows(Node, "pk")) == ([], [])
    observe_and_store(cluster, engine)
    assert "it has left its Swarm" in notice_of(cluster)


def test_a_manager_that_is_locked_keeps_its_rows(cluster):
    engine = make_swarm()
    observe_and_store(cluster, engine)
    observe_and_store(cluster, engine.become("locked"))
    assert notice_of(cluster) == (
        "The Swarm of build-7 cannot be seen: it is locked. Run `docker swarm unlock` on that machine with the unlock key."
    )
    assert rows(Application, "name") == [("shop",)]


@pytest.mark.parametrize("role", ["inactive", "worker", "pending"])
def test_an_engine_that_never_was_a_manager_gets_no_notice(cluster, role):
    observe_and_store(cluster, RecordedEngine(entry("redis")).become(role))
    assert notice_of(cluster) == ""


def test_without_a_leader_the_swarms_rows_stay_and_the_engines_own_follow(cluster):
    engine = make_swarm(entry("redis"))
    observe_and_store(cluster, engine)
    engine.become("manager", SwarmUnavailable("The Swarm cannot answer at the moment: it has no leader."))
    engine.containers = [entry("cache")]
    observe_and_store(cluster, engine)
    assert notice_of(cluster) == (
        "build-7 cannot see its Swarm at the moment: The Swarm cannot answer at the moment: it has no leader."
    )
    assert sorted(rows(Application, "name", "running")) == [("cache", 1), ("shop", 2)]
    assert Node.objects.count() == 2
    engine.become("manager")
    observe_and_store(cluster, engine)
    assert notice_of(cluster) == ""


def test_problems_of_the_other_managers_are_reported_too(cluster):
    engine = make_swarm()
    observe_and_store(cluster, engine)
    engine.passed_over = ("The first is no manager.", "The engine at 10.77.0.12:2376 did not answer in time.")
    observe_and_store(cluster, engine.become("worker"))
    assert notice_of(cluster).endswith("it is a worker now. The engine at 10.77.0.12:2376 did not answer in time.")


def test_a_manager_demoted_between_two_requests_does_no_harm(cluster):
    engine = make_swarm()
    observe_and_store(cluster, engine)
    observe_and_store(cluster, engine.become("manager", NotManager("This node is not a swarm manager.")))
    assert rows(Application, "name") == [("shop",)]


# Another manager in the first one's place


@pytest.fixture
def stand_in():
    """The second manager: it runs a container of its own."""
    engine = make_swarm(entry("its-own"))
    engine.address = OTHER
    engine.passed_over = ("The engine at /var/run/docker.sock does not answer: connection refused.",)
    engine.info_changes |= {"Name": "node2"}  # and the same id: its machine is a clone of the first one's
    return engine


def test_two_engines_containers_are_never_mixed(cluster, stand_in):
    observe_and_store(cluster, make_swarm(entry("redis")))
    stand_in.tasks = stand_in.tasks[:1]
    observe_and_store(cluster, stand_in)
    assert sorted(rows(Application, "name", "status")) == [("redis", "running"), ("shop", "degraded")]
    assert rows(Container, "name") == [("redis",)]
    cluster.refresh_from_db()
    assert (cluster.status, cluster.hostname, cluster.engine_id) == ("reachable", "build-7", "MMFL:RTWL:GNDN")
    assert cluster.status_reason == (
        "The engine at /var/run/docker.sock does not answer: connection refused. The Swarm is seen through 10.77.0.12:2376."
    )
    observe_and_store(cluster, make_swarm())
    assert rows(Application, "name") == [("shop",)]
    cluster.refresh_from_db()
    assert cluster.status_reason == ""


def test_a_first_address_that_never_answered_leaves_the_swarm_to_be_seen(cluster, stand_in):
    observe_and_store(cluster, stand_in)
    assert rows(Application, "name") == [("shop",)]
    cluster.refresh_from_db()
    assert (cluster.engine_id, cluster.swarm_manager) == ("", True)

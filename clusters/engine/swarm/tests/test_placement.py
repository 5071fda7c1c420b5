"""An update that no node has room for is refused before anything is touched."""

import pytest

from clusters.engine.driver import FIRST_ATTEMPT
from clusters.engine.errors import PlanRefused
from clusters.engine.swarm.redeploy import plan_redeploy
from clusters.engine.swarm.tests.planning import before
from clusters.engine.tests.swarm_recording import NODES, observe, service, task

ALL = tuple(sorted(NODES))
START_FIRST = {"Order": "start-first"}
HOST_PORT = {"Ports": [{"PublishedPort": 80, "TargetPort": 8080, "PublishMode": "host", "Protocol": "tcp"}]}
INGRESS = {"Ports": [{"PublishedPort": 80, "TargetPort": 8080, "PublishMode": "ingress", "Protocol": "tcp"}]}


def make_service(order="start-first", endpoint=None, most=0, **more):
    details = service(update_config={"Order": order}, replicas=len(ALL), **more)
    details["Spec"]["EndpointSpec"] = endpoint or {}
    details["Spec"]["TaskTemplate"]["Placement"] = {"MaxReplicas": most}
    return details


def one_on_each(**more):
    return tuple(task(slot, node=node, **more) for slot, node in enumerate(ALL, 1))


def refuse(details, tasks, intent=FIRST_ATTEMPT):
    with pytest.raises(PlanRefused) as refused:
        plan_redeploy(observe(details, tasks=tasks), intent)
    assert refused.value.code == "no_room"
    return refused.value.message


def test_a_host_port_that_every_node_has_taken():
    assert refuse(make_service(endpoint=HOST_PORT), one_on_each()) == (
        "web is updated start-first, and no node has room for its next task: each task takes port 80 of the host, and every "
        "node has one. Nothing was touched. Set its update order to stop-first, or add a node."
    )


def test_a_global_service_with_a_host_port():
    refuse(make_service(endpoint=HOST_PORT, mode={"Global": {}}), one_on_each())


def test_the_most_tasks_of_a_node():
    assert "a node may have 1 of its tasks (max_replicas_per_node), and every node has" in refuse(
        make_service(most=1), one_on_each()
    )


@pytest.mark.parametrize(
    ("details", "tasks"),
    [
        (make_service("stop-first", HOST_PORT, 1), one_on_each()),
        (make_service(endpoint=INGRESS), one_on_each()),
        (make_service(most=2), one_on_each()),
        (make_service(endpoint=HOST_PORT, most=1), one_on_each()[1:]),
        (make_service(endpoint=HOST_PORT, most=1), one_on_each(state="failed")),
        (make_service(endpoint=HOST_PORT, most=1), ()),
        (make_service(endpoint=HOST_PORT, mode={"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}), one_on_each()),
    ],
    ids=["stop-first", "ingress", "room for two", "a free node", "none runs", "no task", "job"],
)
def test_where_there_may_be_room_the_update_is_planned(details, tasks):
    assert plan_redeploy(observe(details, tasks=tasks), FIRST_ATTEMPT).operations


def test_an_update_that_was_sent_already_is_followed():
    details = make_service(endpoint=HOST_PORT, force_update=1)
    assert plan_redeploy(observe(details, tasks=one_on_each()), before("web", wanted=len(ALL))).operations

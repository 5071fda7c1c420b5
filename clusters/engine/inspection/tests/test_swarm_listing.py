"""The inventory's view of a Swarm manager's answers."""

from dataclasses import replace

import pytest

from clusters.engine.cleaning import LARGEST_COUNT, read_time
from clusters.engine.errors import NotManager, SwarmUnavailable
from clusters.engine.inspection import swarm_listing as listing
from clusters.engine.inspection.listing import observe_engine
from clusters.engine.inspection.swarm_listing import fingerprint_tasks, look_at_tasks
from clusters.engine.inspection.tests.recorded import (
    RecordedEngine,
    compose_entry,
    entry,
    swarm_node,
    swarm_service,
    swarm_task,
)
from clusters.engine.inspection.tests.swarm_observing import job, job_task, observe, observe_one, outline


def test_stacks_and_lone_services_become_applications_beside_the_engines_own():
    web, db, lone = swarm_service("web", "shop", replicas=2), swarm_service("db", "shop"), swarm_service("cache")
    tasks = [swarm_task(web, 1), swarm_task(web, 2), swarm_task(db)]
    found = observe([web, db, lone], tasks, [swarm_node()], entry("redis"), compose_entry("shop", "web"))
    assert outline(found) == {
        "compose/shop/web": ("running", 1, 1),
        "container/redis/redis": ("running", 1, 1),
        "service/cache/cache": ("degraded", 1, 0),
        "stack/shop/db": ("running", 1, 1),
        "stack/shop/web": ("running", 2, 2),
    }


def test_containers_of_tasks_are_not_applications_of_their_own():
    labels = {"com.docker.swarm.task.id": "t1", "com.docker.swarm.service.id": "s1", "com.docker.stack.namespace": "shop"}
    assert observe([], [], [], entry("shop_web.1.t1", Labels=labels)).applications == ()


def test_a_whole_swarm_takes_three_more_requests():
    services = [swarm_service(f"s{n}", "shop") for n in range(50)]
    engine = RecordedEngine().manage(services, [swarm_task(service) for service in services], [swarm_node()])
    observe_engine(engine)
    assert engine.requests == ["version", "info", "containers", "images", "services", "tasks", "nodes"]


# Counts and status


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["running", "running"], ("running", 2, 2)),
        (["running", "starting"], ("degraded", 2, 1)),
        (["pending", "pending"], ("degraded", 2, 0)),
        (["failed", "rejected"], ("degraded", 2, 0)),
    ],
)
def test_a_replicated_service_counts_the_slots_that_run(states, expected):
    web = swarm_service("web", replicas=2)
    found = observe_one(web, *(swarm_task(web, slot, state=state) for slot, state in enumerate(states, 1)))
    assert (found.status, found.replicas, found.running) == expected


def test_an_old_and_a_new_task_of_one_slot_count_once():
    web = swarm_service("web", replicas=2)
    found = observe_one(web, swarm_task(web, 1), swarm_task(web, 1, second=50), swarm_task(web, 2))
    assert (found.running, len(found.tasks)) == (2, 3)


def test_tasks_that_swarm_no_longer_wants_do_not_count():
    web = swarm_service("web")
    found = observe_one(web, swarm_task(web, 1, DesiredState="shutdown"), swarm_task(web, 2, DesiredState="remove"))
    assert (found.running, found.status) == (0, "degraded")


def test_a_service_scaled_to_0_does_not_change_the_status_of_its_stack():
    web, batch = swarm_service("web", "shop"), swarm_service("batch", "shop", replicas=0)
    (shop,) = observe([web, batch], [swarm_task(web)]).applications
    assert (shop.status, shop.wanted, shop.running) == ("running", 1, 1)
    (stopped,) = observe([batch]).applications
    assert stopped.status == "stopped"


def test_a_global_service_is_wanted_once_on_each_node():
    agent = swarm_service("agent", mode={"Global": {}})
    tasks = [swarm_task(agent, None, "node1"), swarm_task(agent, None, "node2", state="preparing")]
    old = swarm_task(agent, None, "node2", second=1, state="shutdown", DesiredState="shutdown")
    found = observe_one(agent, *tasks, old)
    assert (found.mode, found.replicas, found.running, found.status) == ("global", 2, 1, "degraded")


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], ("degraded", 2, 0)),
        (["running", "running"], ("running", 2, 2)),
        (["complete", "complete", "running"], ("running", 1, 1)),
        (["complete", "complete", "complete"], ("stopped", 0, 0)),
        (["complete", "complete", "failed"], ("degraded", 1, 0)),
    ],
)
def test_a_job_wants_what_is_left_to_do(states, expected):
    service = job(MaxConcurrent=2, TotalCompletions=3)
    found = observe_one(service, *(job_task(service, slot, state) for slot, state in enumerate(states, 1)))
    assert (found.status, found.replicas, found.running) == expected


def test_an_earlier_run_of_a_job_does_not_count():
    service = job(MaxConcurrent=1, TotalCompletions=1)
    assert observe_one(service, job_task(service, 1, iteration=3)).replicas == 1


def test_a_job_on_every_node_is_done_when_each_has_completed_it():
    service = swarm_service("job", mode={"GlobalJob": {}}, JobStatus={"JobIteration": {}})
    done = job_task(service, None, iteration=0, node="node1")
    half = observe_one(service, done, job_task(service, None, "running", iteration=0, node="node2"))
    assert (half.mode, half.replicas, half.running) == ("global-job", 1, 1)
    assert observe_one(service, done).status == "stopped"
    failed = job_task(service, None, "failed", iteration=0, node="node2") | {"DesiredState": "shutdown"}
    assert observe_one(service, done, failed).status == "degraded"


# What a service shows


def test_published_ports_include_those_that_a_node_chose():
    fixed = {"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "ingress"}
    chosen = {"Protocol": "tcp", "TargetPort": 90, "PublishMode": "host"}
    web = swarm_service("web", Endpoint={"Ports": [fixed, chosen]})
    task = swarm_task(web)
    task["Status"]["PortStatus"] = {"Ports": [chosen | {"PublishedPort": 32768}, chosen | {"PublishedPort": 32768}]}
    assert observe_one(web, task).ports == [
        {"container": 80, "protocol": "tcp", "host": 8080, "mode": "ingress"},
        {"container": 90, "protocol": "tcp", "host": 32768, "mode": "host"},
    ]


def test_update_settings_have_swarms_own_defaults():
    found = observe_one(swarm_service("web"))
    defaults = {"parallelism": 1, "order": "stop-first", "delay": 0, "monitor": 5, "failure_action": "pause"}
    assert found.update_config == found.rollback_config == {**defaults, "max_failure_ratio": 0}
    settings = {
        "Parallelism": 0,
        "Delay": 1_500_000_000,
        "FailureAction": "rollback",
        "MaxFailureRatio": 0.2,
        "Order": "start-first",
    }
    changed = observe_one(swarm_service("web", spec={"UpdateConfig": settings})).update_config
    set_ones = {"parallelism": 0, "order": "start-first", "delay": 1.5, "failure_action": "rollback", "max_failure_ratio": 0.2}
    assert changed == {**set_ones, "monitor": 5}
    assert observe_one(job(MaxConcurrent=1)).update_config == {}


def test_the_state_of_an_update_is_shown():
    status = {"State": "paused", "StartedAt": "2026-11-23T02:14:45.36155955Z", "Message": "update paused due to failure"}
    found = observe_one(swarm_service("web", UpdateStatus=status))
    assert (found.update_state, found.update_message) == ("paused", "update paused due to failure")
    assert found.update_started_at == read_time("2026-11-23T02:14:45.36155955Z")


def test_the_last_error_is_that_of_the_newest_task_of_the_current_spec():
    web = swarm_service("web", replicas=2)
    older = swarm_service("web", image="app:0")
    tasks = [
        swarm_task(web, 1, state="failed", error="task: non-zero exit (1)", second=10, DesiredState="shutdown"),
        swarm_task(web, 1, state="rejected", error="No such image: app:1", second=20, DesiredState="shutdown"),
        swarm_task(older, 1, state="failed", error="of the old image", second=30, DesiredState="shutdown"),
        swarm_task(web, 2),
    ]
    assert observe_one(web, *tasks).last_error == "No such image: app:1"
    assert observe_one(web, *tasks, swarm_task(web, 1, second=40)).last_error == ""


def test_a_task_that_cannot_be_placed_shows_why():
    web = swarm_service("web")
    reason = "no suitable node (insufficient resources on 1 node)"
    assert observe_one(web, swarm_task(web, state="pending", error=reason)).last_error == reason


@pytest.mark.parametrize("where", ["service", "containers"])
def test_the_protected_label_counts_on_the_service_and_on_its_containers(where):
    web = swarm_service("web", "shop")
    labels = (
        web["Spec"]["Labels"] if where == "service" else web["Spec"]["TaskTemplate"]["ContainerSpec"].setdefault("Labels", {})
    )
    labels |= {"windlass.protected": "true", "windlass.system": "true"}
    (shop,) = observe([web, swarm_service("db", "shop")]).applications
    assert (shop.protected, shop.system) == (True, True)


@pytest.mark.parametrize("where", ["service", "containers"])
def test_labels_of_freezes_and_ages_are_read_from_the_service_and_from_its_containers(where):
    web = swarm_service("web", "shop")
    template = web["Spec"]["TaskTemplate"]["ContainerSpec"]
    labels = web["Spec"]["Labels"] if where == "service" else template.setdefault("Labels", {})
    labels |= {"windlass.freeze": "daily 01:00-02:00", "windlass.least-age": "24h"}
    (shop,) = observe([web]).applications
    assert (shop.freeze_label, shop.services[0].least_age_label) == ("daily 01:00-02:00", "24h")


def test_the_stack_that_the_console_runs_in_is_protected(monkeypatch):
    monkeypatch.setattr(listing, "find_own_container_id", lambda: "a" * 64)
    own, other = swarm_service("web", "windlass"), swarm_service("web", "shop")
    found = observe([own, other], [swarm_task(own, container="a" * 64), swarm_task(other)])
    assert {application.name: application.protected for application in found.applications} == {"windlass": True, "shop": False}


def test_times_are_those_of_the_first_service_and_the_newest_task():
    old, new = swarm_service("a", "shop", CreatedAt="2026-01-01T00:00:00Z"), swarm_service("b", "shop")
    (shop,) = observe([old, new], [swarm_task(new, second=59), swarm_task(old)]).applications
    assert shop.created_at == read_time("2026-01-01T00:00:00Z")
    assert shop.updated_at == read_time("2026-11-23T02:14:59.452118Z")


def test_two_services_of_a_stack_with_one_short_name_stay_apart():
    bare = swarm_service("web", labels={"com.docker.stack.namespace": "shop"})
    found = observe([bare, swarm_service("web", "shop"), swarm_service("db", "shop")])
    assert sorted(outline(found)) == ["stack/shop/db", "stack/shop/shop_web", "stack/shop/web"]


# The fingerprint


def test_the_fingerprint_changes_with_a_wanted_task_only():
    web = swarm_service("web")
    running, past = swarm_task(web), swarm_task(web, second=1, state="failed", DesiredState="shutdown")
    whole = fingerprint_tasks([running, past])
    assert whole == fingerprint_tasks([running])
    assert whole != fingerprint_tasks([running | {"Version": {"Index": 43}}])
    assert whole != fingerprint_tasks([])


def test_a_look_at_the_tasks_has_the_same_fingerprint_and_takes_one_request():
    web = swarm_service("web")
    engine = RecordedEngine().manage([web], [swarm_task(web), swarm_task(web, second=1, DesiredState="shutdown")])
    observed = observe_engine(engine)
    engine.requests.clear()
    assert look_at_tasks(engine) == observed.fingerprint
    assert engine.requests == ["tasks"]


# A Swarm that cannot be observed


@pytest.mark.parametrize("failure", [SwarmUnavailable("The swarm does not have a leader."), NotManager("not a swarm manager")])
def test_without_an_answer_from_the_swarm_the_engine_itself_is_still_observed(failure):
    engine = RecordedEngine(entry("redis")).become("manager", failure)
    observed = observe_engine(engine)
    assert [application.name for application in observed.applications] == ["redis"]
    assert observed.swarm_problem == failure.message
    assert observed.fingerprint is None


LOCKED = "it is locked. Run `docker swarm unlock` on that machine with the unlock key."


@pytest.mark.parametrize(
    ("role", "problem"),
    [("inactive", ""), ("worker", "it is a worker now."), ("locked", LOCKED)],
)
def test_an_engine_that_is_not_a_manager_gets_no_swarm_requests(role, problem):
    engine = RecordedEngine().become(role)
    assert observe_engine(engine).swarm_problem == problem
    assert engine.requests[-1] == "images"


# Hostile answers


def test_hostile_texts_and_numbers_fit_their_columns():
    web = swarm_service("w" * 300, image="i" * 600, mode={"Replicated": {"Replicas": 2**64 - 1}})
    web["UpdateStatus"] = {"State": "x" * 50, "Message": "m\x00\n" * 400, "StartedAt": "9999-12-31T23:59:59-23:59"}
    task = swarm_task(web, 2**64 - 1, state="failed", error="e\x1b" * 900, exit_code=2**40, ID="t" * 100)
    node = swarm_node("n\x00" * 300, Spec={"Role": "r" * 30, "Availability": "a" * 30, "Labels": {"k" * 300: "v" * 300}})
    found = observe([web], [task], [node])
    (service,) = found.applications[0].services
    assert (len(service.name), len(service.image), service.replicas) == (255, 512, LARGEST_COUNT)
    assert (len(service.update_state), len(service.update_message), service.update_started_at) == (24, 400, None)
    (seen,) = service.tasks
    assert (seen.slot, seen.exit_code, len(seen.error), len(seen.task_id)) == (LARGEST_COUNT, LARGEST_COUNT, 500, 64)
    assert "\x1b" not in seen.error
    (shown,) = found.nodes
    assert (len(shown.hostname), len(shown.role), len(shown.availability)) == (255, 12, 12)
    assert list(shown.labels) == ["k" * 255]


@pytest.mark.parametrize("label", ["x" * 256, "a\nb"])
def test_a_namespace_that_cannot_be_a_name_is_ignored(label):
    found = observe([swarm_service("web", labels={"com.docker.stack.namespace": label})])
    assert list(outline(found)) == ["service/web/web"]


def test_missing_parts_are_not_an_error():
    bare = {"ID": "s1", "Spec": {"Name": "web", "TaskTemplate": {"ContainerSpec": None}, "Mode": {"Replicated": None}}}
    task = {"ID": "t1", "Version": {"Index": 1}, "DesiredState": "running", "ServiceID": "s1"}
    found = observe([bare], [task], [{"ID": "n1"}])
    assert outline(found) == {"service/web/web": ("degraded", 1, 0)}
    orphan = replace(found.applications[0].services[0].tasks[0], state="x")
    assert not orphan.is_past

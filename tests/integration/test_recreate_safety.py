"""A redeploy removes the old container only when the new one is healthy, and restores it when it is not."""

import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import docker
import pytest

from clusters.engine.connection.client import EngineClient
from clusters.engine.driver import ACTS, Act, Driver, Observation, Plan
from clusters.engine.drivers import driver_for
from clusters.engine.errors import PlanRefused
from clusters.engine.inspection.listing import observe_engine
from tests.harness.driving import Drive, execute, no_check, observe, redeploy
from tests.harness.engine import PrivateEngine
from tests.harness.eventually import eventually
from tests.harness.images import BASE, CRASH, HEALTHY, SERVE, UNHEALTHY
from tests.harness.proc import find_free_port
from tests.harness.projects import Project, create_container, list_names, list_running, read_ids

ImageMaker = Callable[..., str]
IGNORES_TERM = ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"]
ALWAYS = {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}}


def position(drive: Drive, operation: str) -> int:
    """Return the index of the operation's first event."""
    return [event[1] for event in drive.events].index(operation)


def test_container_without_anything_exclusive_is_replaced_start_first(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    web = project.add("web", app)
    image(app)
    drive = redeploy(engine)
    assert drive.state == "succeeded"
    assert position(drive, "start") < position(drive, "stop")
    assert list_running(api) == list_names(api) == {web}


def test_fixed_host_port_is_freed_before_the_new_container_starts(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Cmd=["/bin/sh", "-c", "trap 'exit 0' TERM; httpd -f -p 80 -h /bin & wait"])
    port = find_free_port()
    bindings = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
    web = project.add("web", app, HostConfig={"PortBindings": bindings}, ExposedPorts={"80/tcp": {}})
    image(app, Cmd=["/bin/sh", "-c", "trap 'exit 0' TERM; httpd -f -p 80 -h /bin & wait"])
    drive = redeploy(engine)
    assert drive.state == "succeeded"
    assert position(drive, "stop") < position(drive, "start")
    assert api.inspect_container(web)["HostConfig"]["PortBindings"] == bindings
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass


def test_fixed_host_port_serves_again_after_a_rollback(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Cmd=["/bin/sh", "-c", "trap 'exit 0' TERM; httpd -f -p 80 -h /bin & wait"])
    port = find_free_port()
    bindings = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
    web = project.add("web", app, HostConfig={"PortBindings": bindings}, ExposedPorts={"80/tcp": {}})
    image(app, Cmd=CRASH)
    assert redeploy(engine).state == "rolled_back"
    assert list_running(api) == list_names(api) == {web}
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass


@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_label_overrides_the_order(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker, order: str
) -> None:
    app = image()
    volume = {"Binds": ["shop_data:/data"]} if order == "start-first" else {}
    web = project.add("web", app, labels={"windlass.update.order": order}, HostConfig=volume)
    image(app)
    drive = redeploy(engine)
    assert drive.state == "succeeded"
    assert (position(drive, "start") < position(drive, "stop")) == (order == "start-first")
    assert list_names(api) == {web}


@pytest.mark.parametrize("host_config", [{}, {"Binds": ["shop_data:/data"]}], ids=["start-first", "stop-first"])
@pytest.mark.parametrize(
    "fault",
    [{"Cmd": CRASH}, {"Cmd": ["/bin/not-there"]}, {"Healthcheck": UNHEALTHY}],
    ids=["crashes", "cannot start", "unhealthy"],
)
def test_bad_new_image_is_rolled_back_with_nothing_left_over(
    engine: PrivateEngine,
    api: docker.APIClient,
    project: Project,
    image: ImageMaker,
    fault: dict[str, Any],
    host_config: dict[str, Any],
) -> None:
    app = image()
    front = project.add_network()
    names = {
        project.add("web", app, number, networks={front: {"Aliases": ["web"]}}, HostConfig={**ALWAYS, **host_config})
        for number in (1, 2)
    }
    before = {name: api.inspect_container(name) for name in names}
    image(app, **fault)
    drive = redeploy(engine)
    assert drive.state == "rolled_back"
    assert drive.outcome
    assert drive.outcome.reason
    assert list_names(api) == list_running(api) == names
    for name in names:
        after = api.inspect_container(name)
        assert (after["Image"], after["HostConfig"]) == (before[name]["Image"], before[name]["HostConfig"])
        assert after["Config"]["Labels"] == before[name]["Config"]["Labels"]
        assert "web" in after["NetworkSettings"]["Networks"][front]["Aliases"]


def test_crash_loop_under_a_restart_policy_is_noticed(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    web = project.add("web", app, labels={"windlass.update.monitor": "2s"}, HostConfig=ALWAYS)
    image(app, Cmd=["/bin/sh", "-c", "sleep 0.3; exit 1"])
    assert redeploy(engine).state == "rolled_back"
    assert list_running(api) == list_names(api) == {web}


def test_container_in_a_crash_loop_is_redeployed_to_a_good_image(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Cmd=CRASH)
    web = project.add("web", app, HostConfig=ALWAYS)
    eventually(lambda: api.inspect_container(web)["RestartCount"] > 0)
    image(app, Cmd=SERVE)
    assert redeploy(engine).state == "succeeded"
    after = api.inspect_container(web)
    assert after["State"]["Status"] == "running"
    assert after["HostConfig"]["RestartPolicy"] == ALWAYS["RestartPolicy"]
    assert list_names(api) == {web}


def test_second_container_is_not_touched_when_the_first_one_fails(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    names = [project.add("web", app, number) for number in (1, 2, 3)]
    before = read_ids(api)
    image(app, Cmd=CRASH)
    assert redeploy(engine).state == "rolled_back"
    after = read_ids(api)
    assert set(after) == set(names)
    assert sum(before[name] != after[name] for name in names) <= 1


def test_a_container_that_never_ran_is_started(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    running = project.add("web", app, 1)
    stopped = project.add("web", app, 2, start=False)
    before = read_ids(api)
    new_image = api.inspect_image(image(app))["Id"]
    assert redeploy(engine).state == "succeeded"
    after = read_ids(api)
    assert set(after) == {running, stopped}
    assert not set(after.values()) & set(before.values())
    assert list_running(api) == {running, stopped}
    assert api.inspect_container(stopped)["Image"] == new_image


def test_auto_removed_container_is_replaced(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Volumes={"/data": {}})
    web = project.add("web", app, HostConfig={"AutoRemove": True})
    image(app, Volumes={"/data": {}})
    assert redeploy(engine).state == "succeeded"
    after = api.inspect_container(web)
    assert after["HostConfig"]["AutoRemove"]
    assert after["Image"] == api.inspect_image(app)["Id"]
    assert list_running(api) == list_names(api) == {web}


@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_auto_removed_container_comes_back_when_the_new_one_fails(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker, order: str
) -> None:
    app = image()
    web = project.add("web", app, labels={"windlass.update.order": order}, HostConfig={"AutoRemove": True})
    before = api.inspect_container(web)
    image(app, Cmd=CRASH)
    assert redeploy(engine).state == "rolled_back"
    after = api.inspect_container(web)
    assert (after["Image"], after["HostConfig"]) == (before["Image"], before["HostConfig"])
    assert list_running(api) == list_names(api) == {web}


def test_stop_signal_of_the_old_container_is_honoured(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    writes = ["/bin/sh", "-c", "trap 'touch /data/interrupted; exit 0' INT; while :; do sleep 0.1; done"]
    app = image()
    web = project.add("web", app, Cmd=writes, StopSignal="SIGINT", HostConfig={"Binds": ["shop_data:/data"]})
    api.exec_start(api.exec_create(web, ["/bin/true"])["Id"])
    image(app)
    assert redeploy(engine).state == "succeeded"
    execution = api.exec_create(web, ["ls", "/data/interrupted"])["Id"]
    api.exec_start(execution)
    assert api.exec_inspect(execution)["ExitCode"] == 0


def test_stop_timeout_of_the_old_container_is_honoured(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Cmd=IGNORES_TERM)
    web = project.add("web", app, StopTimeout=1)
    image(app)
    started = time.monotonic()
    assert redeploy(engine).state == "succeeded"
    assert time.monotonic() - started < 8  # the engine's default would be 10 s
    assert api.inspect_container(web)["Config"]["StopTimeout"] == 1


def test_leftover_under_another_name_is_no_obstacle(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    web = project.add("web", app)
    stranger = create_container(api, f"{web}-old", app, labels={})
    stranger_id = read_ids(api)[stranger]
    image(app)
    assert redeploy(engine).state == "succeeded"
    assert list_names(api) == {web, stranger}
    assert read_ids(api)[stranger] == stranger_id


def test_container_removed_between_plan_and_execute_leaves_no_half_state(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    first, second = project.add("web", app, 1), project.add("web", app, 2)
    image(app)
    with EngineClient(engine.endpoint) as client:
        plan = driver_for("compose").plan_redeploy(observe(client))
        api.remove_container(second, force=True)
        drive = execute(client, plan, "compose", no_check)
    assert drive.state in {"succeeded", "failed", "rolled_back"}
    assert drive.outcome
    assert drive.state == "succeeded" or drive.outcome.reason
    assert list_running(api) == list_names(api) >= {first}
    assert list_names(api) <= {first, second}


def test_dependencies_are_redeployed_before_what_needs_them(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    project.add("api", app, labels={"com.docker.compose.depends_on": "store:service_started:false"})
    project.add("web", app, labels={"com.docker.compose.depends_on": "api:service_healthy:false,cache:service_started:false"})
    project.add("store", app)
    project.add("cache", app)
    image(app)
    assert redeploy(engine).state == "succeeded"
    created = {container["Labels"]["com.docker.compose.service"]: container["Created"] for container in api.containers()}
    precise = {service: api.inspect_container(f"shop-{service}-1")["Created"] for service in created}
    assert precise["store"] < precise["api"] < precise["web"]
    assert precise["cache"] < precise["web"]


def test_only_the_named_service_is_redeployed(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    web, worker = project.add("web", app), project.add("worker", app)
    before = read_ids(api)
    image(app)
    assert redeploy(engine, service="web").state == "succeeded"
    after = read_ids(api)
    assert after[worker] == before[worker]
    assert after[web] != before[web]


def test_healthy_new_container_need_not_wait_for_the_monitor_period(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Healthcheck=HEALTHY)
    project.add("web", app, labels={"windlass.update.monitor": "60s"})
    image(app, Healthcheck=HEALTHY)
    started = time.monotonic()
    assert redeploy(engine).state == "succeeded"
    assert time.monotonic() - started < 30


def test_redeploy_reports_each_operation_and_names_the_containers(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    web = project.add("web", app)
    image(app)
    drive = redeploy(engine)
    assert {"create", "start", "stop", "remove"} <= {operation for _, operation, _ in drive.events}
    assert web in drive.plan
    assert any(web in text for _, _, text in drive.events)


def plan_act(driver: Driver, act: Act, observed: Observation) -> Plan:
    return driver.plan_act(observed, act)


def test_the_door_to_the_engine_is_refused_by_every_act(engine: PrivateEngine, api: docker.APIClient) -> None:
    """A container that publishes the port at which the console reaches the engine."""
    port = find_free_port()
    bindings = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
    create_container(api, "door", BASE, Cmd=SERVE, HostConfig={"PortBindings": bindings}, ExposedPorts={"80/tcp": {}})
    before = api.inspect_container("door")["State"]
    with EngineClient(engine.endpoint) as client:
        client.address = f"tcp://127.0.0.1:{port}"
        observed = observe(client, "door", source="container")
        (application,) = observe_engine(client).applications
    assert application.protected
    driver = driver_for("container")
    for plan in (driver.plan_redeploy, *(partial(plan_act, driver, act) for act in ACTS)):
        with pytest.raises(PlanRefused, match="door is protected: the console reaches this engine through it"):
            plan(observed)
    assert api.inspect_container("door")["State"] == before

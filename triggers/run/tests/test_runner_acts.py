"""Stop, start, restart and delete by the runner, on engines in memory: how they end, also when their workers die."""

import time
from types import SimpleNamespace

import pytest

from clusters.engine.errors import EngineUnreachable
from clusters.engine.fakes.fake_engine import CANNOT_START, CRASHES, UNHEALTHY, FakeEngine
from clusters.engine.swarm import manager
from clusters.models import Application
from clusters.tests.factories import ApplicationFactory, ServiceFactory
from triggers.calls.accept import accept_call
from triggers.calls.requests import CallRequest
from triggers.models import CallState, TriggerCall
from triggers.run import runner
from triggers.run.tests.test_runner_swarm import Clock, events_of, run, run_until_death

pytestmark = pytest.mark.django_db

PROJECT = "com.docker.compose.project"
STACK = "com.docker.stack.namespace"
REQUESTS = 200  # more than any call here makes


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch, published):
    clock = Clock()
    monkeypatch.setattr(manager, "time", clock)
    monkeypatch.setattr(runner, "time", SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: None))


def ask(application, action, **more):
    request = CallRequest(action=action, source=TriggerCall.Source.CONSOLE, application_id=application.pk, **more)
    return accept_call(request)


class Shop:
    """The Compose project `shop`: db with a named and an anonymous volume, two of web which depend on it, and beside it a lone
    container `watch` in the network of shop-web-1."""

    def __init__(self, monkeypatch):
        self.fake = FakeEngine()
        monkeypatch.setattr(runner, "EngineClient", lambda endpoint, credentials: self.fake)
        self.application = ApplicationFactory(name="shop", source=Application.Source.COMPOSE)
        self.fake.add_image("app:1")
        self.fake.add_image("db:1", Volumes={"/cache": {}})
        self.fake.add_network("shop_default", labels={PROJECT: "shop"})
        self.add("db", 1, image="db:1", HostConfig={"Binds": ["shop_data:/srv"]})
        for number in (1, 2):
            self.add("web", number, labels={"com.docker.compose.depends_on": "db:service_started:false"})
        web = self.fake.inspect_container("shop-web-1")["Id"]
        self.fake.run(
            "watch", "app:1", Labels={"windlass.update.monitor": "0s"}, HostConfig={"NetworkMode": f"container:{web}"}
        )

    def add(self, service, number, *, image="app:1", labels=None, HostConfig=None, **config):
        own = {
            PROJECT: "shop",
            "com.docker.compose.service": service,
            "com.docker.compose.container-number": str(number),
            "windlass.update.monitor": "0s",
        }
        host_config = {"NetworkMode": "shop_default", **(HostConfig or {})}
        self.fake.run(f"shop-{service}-{number}", image, Labels=own | (labels or {}), HostConfig=host_config, **config)

    def call(self, action, **more):
        return run(ask(self.application, action, **more))

    def started(self):
        """Return when each container was started, by name."""
        return {c["Name"][1:]: c["State"]["StartedAt"] for c in self.fake.containers.values()}

    def set_command(self, name, command):
        self.fake.containers[self.fake.inspect_container(name)["Id"]]["Config"]["Cmd"] = command


ALL = {"shop-db-1", "shop-web-1", "shop-web-2"}


@pytest.fixture
def make_shop(monkeypatch):
    return lambda: Shop(monkeypatch)


@pytest.fixture
def shop(make_shop):
    return make_shop()


class TestProject:
    def test_it_is_stopped_and_started_again(self, shop):
        call = shop.call("stop")
        assert (call.state, call.message) == (CallState.SUCCEEDED, "3 containers of shop are stopped.")
        assert (shop.fake.names(), shop.fake.running()) == (ALL | {"watch"}, {"watch"})
        assert shop.fake.operations == ["stop shop-web-1", "stop shop-web-2", "stop shop-db-1"]
        assert [call.before["services"]["web"]["running"], call.after["services"]["web"]["running"]] == [2, 0]
        call = shop.call("start")
        assert (call.state, call.message) == (CallState.SUCCEEDED, "3 containers of shop were started and are healthy.")
        assert shop.fake.running() == ALL | {"watch"}

    def test_a_restart_restarts_each_container_and_creates_none(self, shop):
        ids, started = set(shop.fake.containers), shop.started()
        call = shop.call("restart")
        assert (call.state, call.message) == (
            CallState.SUCCEEDED,
            "3 containers of shop were restarted and are healthy. Also restarted, because of a shared namespace: watch.",
        )
        assert set(shop.fake.containers) == ids
        assert not started.items() & shop.started().items()

    def test_a_delete_removes_containers_anonymous_volumes_and_the_projects_network(self, shop):
        assert len(shop.fake.volumes) == 2
        call = shop.call("delete")
        assert call.state == CallState.SUCCEEDED
        assert call.message == "shop was deleted: 3 containers, the network shop_default. Named volumes and images are kept."
        assert (shop.fake.names(), shop.fake.volumes) == ({"watch"}, {"shop_data"})
        assert "shop_default" not in shop.fake.networks
        assert call.after == {"version": 1, "services": {}}
        assert "watch loses the namespace that it shares with a container of shop" in events_of(call)

    def test_a_network_that_is_in_use_elsewhere_stays_and_the_outcome_says_so(self, shop):
        shop.fake.run("blog", "app:1", HostConfig={"NetworkMode": "shop_default"})
        call = shop.call("delete")
        assert call.state == CallState.SUCCEEDED
        assert "shop_default" in shop.fake.networks
        assert "note: the network shop_default is kept: blog uses it" in call.plan

    @pytest.mark.parametrize(
        ("action", "message"),
        [
            ("stop", "shop-web-1 is stopped."),
            ("restart", "shop-web-1 was restarted and is healthy. Also restarted, because of a shared namespace: watch."),
            ("delete", "shop-web-1 was deleted. Named volumes and images are kept."),
        ],
    )
    def test_one_container_only(self, shop, action, message):
        service = ServiceFactory(application=shop.application, name="web")
        call = shop.call(action, container="shop-web-1", service_id=service.pk)
        assert (call.state, call.message) == (CallState.SUCCEEDED, message)
        touched = {line.split()[1] for line in shop.fake.operations}
        assert touched == {"shop-web-1"} | ({"watch"} if action == "restart" else set())
        assert "shop_default" in shop.fake.networks

    @pytest.mark.parametrize(
        ("action", "message"),
        [
            ("start", "shop is running. Nothing was changed."),
            ("restart", "shop has no running containers. Nothing was changed."),
            ("stop", "shop is stopped. Nothing was changed."),
            ("delete", "shop is not on the engine. Nothing was changed."),
        ],
    )
    def test_a_state_that_is_reached_already_is_a_success_that_changed_nothing(self, shop, action, message):
        if action in ("stop", "restart"):
            shop.call("stop")
        if action == "delete":
            shop.call("delete")
        shop.fake.operations.clear()
        call = shop.call(action)
        assert (call.state, call.reason, call.message) == (CallState.SUCCEEDED, "unchanged", message)
        assert shop.fake.operations == []

    @pytest.mark.parametrize("action", ["stop", "start", "restart"])
    def test_a_missing_target_fails(self, shop, action):
        shop.call("delete")
        call = shop.call(action)
        assert (call.state, call.reason) == (CallState.FAILED, "not_found")

    def test_a_protected_container_is_refused_before_anything_is_touched(self, shop):
        shop.add("proxy", 1, labels={"windlass.protected": "true"})
        for action in ("stop", "start", "restart", "delete"):
            call = shop.call(action)
            assert (call.state, call.reason) == (CallState.FAILED, "protected")
            assert call.message.endswith("Nothing was touched.")
        assert shop.fake.operations == []

    def test_a_protected_application_is_rejected(self, shop):
        Application.objects.update(protected=True)
        for action in ("stop", "start", "restart", "delete"):
            assert ask(shop.application, action).state == CallState.REJECTED
            assert ask(shop.application, action, container="shop-web-1").state == CallState.REJECTED


class TestFailure:
    def test_a_container_that_does_not_start_is_named_with_the_engines_reason(self, shop):
        shop.call("stop")
        shop.set_command("shop-db-1", CANNOT_START)
        call = shop.call("start")
        assert (call.state, call.reason) == (CallState.FAILED, "engine_refused")
        assert call.message.startswith("shop-db-1 did not start: OCI runtime create failed")
        assert "Of 3 containers of shop, 3 are stopped. The image that was tried: " in call.message
        assert shop.fake.running() == {"watch"}

    def test_a_container_that_exits_is_a_failure_with_its_last_log_lines(self, shop):
        shop.fake.write_log("shop-web-2", "fatal: cannot read /srv", stream="stderr")
        shop.set_command("shop-web-2", CRASHES)
        call = shop.call("restart")
        assert (call.state, call.reason) == (CallState.FAILED, "exited")
        assert call.message.startswith(
            "shop-web-2 did not keep running (exit code 1). Of 3 containers of shop, 2 are running and 1 is stopped. "
        )
        assert call.message.endswith(" printed: fatal: cannot read /srv")
        assert "shop-web-2 printed: fatal: cannot read /srv" in events_of(call)
        (evidence,) = call.evidence.all()
        assert (evidence.name, evidence.service, evidence.exit_code) == ("shop-web-2", "web", 1)
        assert [line[1:] for line in evidence.lines] == [["stderr", "fatal: cannot read /srv"]]
        assert call.failure["firstErrorLine"] == "fatal: cannot read /srv"

    def test_the_others_are_left_alone_once_one_does_not_come_back(self, shop):
        shop.set_command("shop-db-1", CRASHES)
        started = shop.started()
        assert shop.call("restart").state == CallState.FAILED
        assert {name for name, moment in shop.started().items() if moment != started[name]} == {"shop-db-1"}

    def test_a_container_that_never_becomes_healthy_is_a_failure(self, shop):
        shop.fake.stop_container("shop-web-1")
        shop.fake.containers[shop.fake.inspect_container("shop-web-1")["Id"]]["Config"]["Healthcheck"] = UNHEALTHY
        assert shop.call("start").reason == "unhealthy"

    def test_a_one_shot_that_succeeds_is_no_failure(self, shop):
        shop.add("migrate", 1)
        shop.call("stop")
        shop.fake.operations.clear()
        finish = shop.fake.start_container

        def start(container):
            finish(container)
            if container == shop.fake.inspect_container("shop-migrate-1")["Id"]:
                shop.fake.stop_container(container)

        shop.fake.start_container = start
        call = shop.call("start")
        assert call.state == CallState.SUCCEEDED
        assert call.message.endswith("shop-migrate-1 completed its work and exited (exit code 0).")

    def test_an_engine_that_is_unreachable_for_a_moment_is_retried(self, shop, monkeypatch):
        left = iter(range(3))

        def come_and_go(method):
            if method == "stop_container" and next(left, None) is not None:
                raise EngineUnreachable("The engine does not answer: connection refused.")

        monkeypatch.setattr("clusters.engine.retry.RETRY_SECONDS", 0)
        shop.fake.before_request = come_and_go
        assert shop.call("stop").state == CallState.SUCCEEDED
        assert shop.fake.running() == {"watch"}


def test_calls_of_one_application_wait_for_each_other(shop):
    calls = [ask(shop.application, action) for action in ("stop", "start", "restart")]
    assert [call.state for call in calls] == [CallState.QUEUED] * 3
    for call in calls:
        assert run(call).state == CallState.SUCCEEDED
    assert shop.fake.running() == ALL | {"watch"}


# Deaths


def prepare(make_shop, action):
    shop = make_shop()
    if action == "start":
        for name in sorted(ALL):
            shop.fake.stop_container(name)
    if action == "delete":  # as a recreate leaves it: the anonymous volume is attached by name
        db = shop.fake.containers[shop.fake.inspect_container("shop-db-1")["Id"]]
        volume = next(mount["Name"] for mount in db["Mounts"] if mount["Destination"] == "/cache")
        db["HostConfig"]["Binds"].append(f"{volume}:/cache")
    shop.fake.operations.clear()
    return shop


def judge(shop, call, where):
    assert call.state == CallState.SUCCEEDED, (where, call.message, events_of(call))
    assert call.reason == "", where
    operations = [line for line in shop.fake.operations if not line.startswith("remove-volume")]
    assert len(operations) == len(set(operations)), (where, operations)
    if call.action == "delete":
        assert (shop.fake.names(), shop.fake.volumes) == ({"watch"}, {"shop_data"}), where
        assert "shop_default" not in shop.fake.networks, where
        return
    assert shop.fake.names() == ALL | {"watch"}, where
    assert shop.fake.running() == {"watch"} | (set() if call.action == "stop" else ALL), where
    if call.action == "restart":
        assert sorted(operations) == [f"restart {name}" for name in sorted(ALL | {"watch"})], where


@pytest.mark.parametrize("action", ["stop", "start", "restart", "delete"])
def test_an_act_on_a_project_ends_right_when_its_worker_dies_at_any_request(make_shop, action):
    for requests in range(REQUESTS):
        shop = prepare(make_shop, action)
        call = ask(shop.application, action)
        died = run_until_death(shop, call, requests)
        if died:
            run(call)
            assert call.attempts == 2
        call.refresh_from_db()
        judge(shop, call, requests)
        if not died:
            assert requests > 5
            return
    pytest.fail(f"still dying after {REQUESTS} requests")


def test_one_container_is_removed_once_when_its_worker_dies_at_any_request(make_shop):
    for requests in range(REQUESTS):
        shop = prepare(make_shop, "delete")
        call = ask(shop.application, "delete", container="shop-db-1")
        died = run_until_death(shop, call, requests)
        run(call)
        assert (call.state, call.reason) == (CallState.SUCCEEDED, ""), (requests, call.message)
        assert (shop.fake.names(), shop.fake.volumes) == ({"shop-web-1", "shop-web-2", "watch"}, {"shop_data"}), requests
        if not died:
            return
    pytest.fail(f"still dying after {REQUESTS} requests")


# Swarm


class Stack:
    """The stack `shop`: web (two tasks) and worker (one), with a network, a config and a secret of its own."""

    def __init__(self, monkeypatch):
        self.fake = FakeEngine()
        self.swarm = self.fake.init_swarm("node2")
        monkeypatch.setattr(runner, "EngineClient", lambda endpoint, credentials: self.fake)
        self.application = ApplicationFactory(name="shop", source=Application.Source.STACK)
        own = {STACK: "shop"}
        self.fake.add_network("shop_default", labels=own)
        self.config = self.swarm.add_object("config", "shop_settings", own)
        self.swarm.add_object("secret", "shop_key", own)
        self.swarm.add_object("secret", "other_key", {STACK: "other"})
        self.fake.publish("app:1")
        for name, count in (("web", 2), ("worker", 1)):
            self.add(f"shop_{name}", count, own)
        self.add("other", 1, {})
        self.swarm.settle()

    def add(self, name, count, labels):
        image = f"app:1@{self.fake.resolve_digest('app:1')}"
        self.swarm.create_service(
            {
                "Name": name,
                "Labels": labels,
                "TaskTemplate": {
                    "ContainerSpec": {"Image": image, "Configs": [{"ConfigID": self.config}] if labels else []},
                    "Networks": [{"Target": self.fake.networks["shop_default"]["Id"]}] if labels else [],
                },
                "Mode": {"Replicated": {"Replicas": count}},
                "UpdateConfig": {"Monitor": 200_000_000},
            }
        )

    def tasks(self, name):
        return {task.id for task in self.swarm.tasks_of(name) if (task.desired, task.state) == ("running", "running")}

    def images(self, name):
        return {task.spec["ContainerSpec"]["Image"] for task in self.swarm.tasks_of(name) if task.is_live}

    def left(self):
        """Return what exists besides the other service: services, tasks, networks, configs and secrets."""
        other = self.swarm.find_service("other").id
        return (
            {service.name for service in self.swarm.services.values()} - {"other"},
            [task for task in self.swarm.tasks if task.service_id != other],
            {name for name in self.fake.networks if name.startswith("shop")},
            {found["Spec"]["Name"] for _, found in self.swarm.objects.values()} - {"other_key"},
        )

    def call(self, action, **more):
        return run(ask(self.application, action, **more))


NOTHING = (set(), [], set(), set())


@pytest.fixture
def make_stack(monkeypatch):
    return lambda: Stack(monkeypatch)


@pytest.fixture
def stack(make_stack):
    return make_stack()


class TestStack:
    def test_a_restart_replaces_every_task_and_keeps_its_image(self, stack):
        tasks, images = stack.tasks("shop_web") | stack.tasks("shop_worker"), stack.images("shop_web")
        stack.fake.publish("app:1")  # newer, and not requested
        stack.fake.requests.clear()
        call = stack.call("restart")
        assert (call.state, call.message) == (CallState.SUCCEEDED, "3 tasks of shop were restarted.")
        assert not tasks & (stack.tasks("shop_web") | stack.tasks("shop_worker"))
        assert stack.images("shop_web") == images
        assert "resolve_digest" not in stack.fake.requests
        assert call.progress == {"web": [2, 2], "worker": [1, 1]}

    def test_a_restart_that_fails_is_left_as_it_is(self, stack):
        stack.swarm.find_service("shop_web").spec["TaskTemplate"]["ContainerSpec"]["Command"] = CRASHES
        call = stack.call("restart")
        assert (call.state, call.reason) == (CallState.FAILED, "update_paused")
        assert not [line for line in stack.fake.operations if line.startswith("roll back")]

    def test_a_delete_ends_when_the_tasks_have_ended_and_removes_what_the_stack_had(self, stack):
        call = stack.call("delete")
        assert (call.state, call.message) == (CallState.SUCCEEDED, "shop was deleted. Volumes and images are kept.")
        assert stack.left() == NOTHING
        assert stack.tasks("other")

    def test_tasks_that_do_not_end_are_a_failure(self, stack, monkeypatch):
        monkeypatch.setattr(stack.swarm, "_advance", lambda task: None)
        call = stack.call("delete")
        assert (call.state, call.reason) == (CallState.FAILED, "stuck")
        assert "3 tasks of shop still run" in call.message
        assert "Removed so far: shop_web, shop_worker." in call.message

    def test_tasks_on_a_node_that_is_down_are_not_waited_for(self, stack):
        stack.swarm.set_node("node2", state="down")
        assert stack.call("delete").state == CallState.SUCCEEDED

    def test_a_secret_that_another_service_uses_stays(self, stack):
        secret = next(key for key, (_, found) in stack.swarm.objects.items() if found["Spec"]["Name"] == "shop_key")
        other = stack.swarm.find_service("other")
        other.spec["TaskTemplate"]["ContainerSpec"]["Secrets"] = [{"SecretID": secret}]
        call = stack.call("delete")
        assert call.state == CallState.SUCCEEDED
        assert call.message.endswith("The secret shop_key is kept: it is in use.")
        assert stack.left()[3] == {"shop_key"}

    @pytest.mark.parametrize("action", ["stop", "start"])
    def test_nothing_is_stopped_or_started_on_a_swarm(self, stack, action):
        call = stack.call(action)
        assert (call.state, call.reason) == (CallState.FAILED, "swarm")
        assert "A Swarm has no stopped services" in call.message

    @pytest.mark.parametrize("action", ["stop", "start", "restart", "delete"])
    def test_a_single_tasks_container_is_not_stopped_or_started_either(self, stack, action):
        call = stack.call(action, container="shop_web.1.abc")
        assert (call.state, call.reason) == (CallState.FAILED, "swarm")
        assert stack.fake.operations == []

    @pytest.mark.parametrize("action", ["restart", "delete"])
    def test_a_protected_service_protects_its_stack(self, stack, action):
        stack.swarm.find_service("shop_worker").spec["Labels"]["windlass.protected"] = "true"
        assert stack.call(action).reason == "protected"
        assert stack.fake.operations == []


def test_a_lone_service_is_deleted_alone(stack):
    application = ApplicationFactory(name="other", source=Application.Source.SERVICE)
    call = run(ask(application, "delete"))
    assert call.state == CallState.SUCCEEDED, call.message
    assert {service.name for service in stack.swarm.services.values()} == {"shop_web", "shop_worker"}


@pytest.mark.parametrize("action", ["restart", "delete"])
def test_an_act_on_a_stack_ends_right_when_its_worker_dies_at_any_request(make_stack, action):
    for requests in range(REQUESTS):
        stack = make_stack()
        tasks = stack.tasks("shop_web") | stack.tasks("shop_worker")
        call = ask(stack.application, action)
        died = run_until_death(stack, call, requests)
        run(call)
        assert (call.state, call.reason) == (CallState.SUCCEEDED, ""), (requests, call.message)
        assert len(stack.fake.operations) == len(set(stack.fake.operations)), (requests, stack.fake.operations)
        if action == "delete":
            assert stack.left() == NOTHING, requests
        else:
            now = stack.tasks("shop_web") | stack.tasks("shop_worker")
            assert (len(now), now & tasks) == (3, set()), requests
        if not died:
            return
    pytest.fail(f"still dying after {REQUESTS} requests")

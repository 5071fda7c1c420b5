"""The runner over the Swarm driver and a Swarm in memory: how calls end, also when their workers die."""

import time
from types import SimpleNamespace

import pytest

from clusters.engine.errors import EngineUnreachable
from clusters.engine.fakes.fake_engine import COMPLETES, CRASHES, HEALTHY, UNHEALTHY, FakeEngine
from clusters.engine.swarm import manager
from clusters.engine.swarm.requests import WOKEN_LABEL
from clusters.models import Application
from clusters.tests.factories import ApplicationFactory, ServiceFactory
from tests.harness.interruption import Killed
from triggers.calls.accept import accept_call
from triggers.models import CallState, OnFailure, TriggerCall
from triggers.run import runner
from triggers.tests.calling import expire_lease, request_of
from triggers.tests.factories import ScalingTriggerFactory, TriggerFactory

pytestmark = pytest.mark.django_db

STACK = "com.docker.stack.namespace"
REGISTRY = "registry.example:5000"
IMAGES = {"web": f"{REGISTRY}/web:1", "worker": f"{REGISTRY}/worker:1"}
SECOND = 1_000_000_000  # nanoseconds
REQUESTS = 400  # more than any call here makes


class Clock:
    """A clock that moves forward when somebody sleeps, and a little when it is read."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        self.now += 1e-6
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Shop:
    """The stack `shop`: web (three tasks) and worker (one), its rows, and a worker that runs its calls."""

    def __init__(self, monkeypatch, *, nodes=(), worker_goes_last=False, template=None, labels=None, update=None):
        self.fake = FakeEngine()
        self.swarm = self.fake.init_swarm(*nodes)
        monkeypatch.setattr(runner, "EngineClient", lambda endpoint, credentials: self.fake)
        self.application = ApplicationFactory(name="shop", source=Application.Source.STACK)
        self.services = {
            name: ServiceFactory(application=self.application, name=name, replicas=count)
            for name, count in (("web", 3), ("worker", 1))
        }
        for name, image in IMAGES.items():
            self.fake.publish(image)
            depends = {"windlass.depends": "web"} if worker_goes_last and name == "worker" else {}
            self.swarm.create_service(self.spec(name, {**depends, **(labels or {})}, template or {}, update or {}))
        self.swarm.settle(10)
        self.before = self.picture()
        self.ids = {task.id for task in self.running("web")}

    def spec(self, name, labels, template, update):
        image = f"{IMAGES[name]}@{self.fake.resolve_digest(IMAGES[name])}"
        return {
            "Name": f"shop_{name}",
            "Labels": {STACK: "shop", "com.docker.stack.image": IMAGES[name], **labels},
            "TaskTemplate": {"ContainerSpec": {"Image": image}, **template},
            "Mode": {"Replicated": {"Replicas": 3 if name == "web" else 1}},
            "UpdateConfig": {"Monitor": SECOND // 5, **update},
            "RollbackConfig": {"Monitor": SECOND // 5},
        }

    def publish(self, **config):
        """Publish the next version of web, and one of worker, which is always good."""
        self.fake.publish(IMAGES["worker"])
        return self.fake.publish(IMAGES["web"], **config)

    def tasks(self, service):
        return self.swarm.tasks_of(f"shop_{service}")

    def running(self, service):
        return [task for task in self.tasks(service) if (task.desired, task.state) == ("running", "running")]

    def count(self, service):
        return self.swarm.find_service(f"shop_{service}").spec["Mode"]["Replicated"]["Replicas"]

    def picture(self):
        """Return what every running task runs, and the wanted counts."""
        return {
            name: (self.count(name), [task.spec["ContainerSpec"]["Image"] for task in self.running(name)]) for name in IMAGES
        }

    def newest(self):
        """Return the same for the time when all run the images that the registry has."""
        return {
            name: (self.count(name), [f"{image}@{self.fake.digest_of(self.fake.registry[image])}"] * self.count(name))
            for name, image in IMAGES.items()
        }

    def requested(self, operation):
        return self.fake.operations.count(operation)

    def redeploy_trigger(self, service=None, **more):
        return TriggerFactory(application=self.application, service=self.services.get(service), **more)

    def scaling_trigger(self, **more):
        return ScalingTriggerFactory(application=self.application, service=self.services["web"], **more)

    def redeploy(self, **more):
        return run(accept_call(request_of(self.redeploy_trigger(**more))))

    def scale(self, step, **more):
        return run(accept_call(request_of(self.scaling_trigger(**more), step=step)))


def run(call):
    runner.run_next_call(call.application_id)
    call.refresh_from_db()
    return call


@pytest.fixture(autouse=True)
def clock(monkeypatch, published):
    clock = Clock()
    monkeypatch.setattr(manager, "time", clock)
    monkeypatch.setattr(runner, "time", SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: None))
    return clock


@pytest.fixture
def make_shop(monkeypatch):
    return lambda **options: Shop(monkeypatch, **options)


@pytest.fixture
def shop(make_shop):
    return make_shop()


def events_of(call):
    return [event.text for event in call.events.all()]


class TestRedeploy:
    def test_every_task_runs_the_new_digest_and_counts_do_not_change(self, shop):
        shop.publish()
        call = shop.redeploy()
        assert (call.state, call.reason) == (CallState.SUCCEEDED, ""), call.message
        assert shop.picture() == shop.newest() != shop.before
        assert {name: (count, len(images)) for name, (count, images) in shop.picture().items()} == {
            "web": (3, 3),
            "worker": (1, 1),
        }
        assert call.progress == {"web": [3, 3], "worker": [1, 1]}
        assert shop.fake.operations == ["update service shop_web", "update service shop_worker"]
        assert call.before["services"]["web"]["update"]["force_update"] == 0
        assert call.after["services"]["web"]["update"]["force_update"] == 1
        assert [task["name"] for task in call.after["services"]["web"]["containers"]] == ["web.1", "web.2", "web.3"]

    def test_tasks_of_an_unchanged_image_are_replaced(self, shop):
        call = shop.redeploy()
        assert call.state == CallState.SUCCEEDED
        assert shop.picture() == shop.before
        assert not shop.ids & {task.id for task in shop.running("web")}

    def test_one_service_is_redeployed_alone(self, shop):
        shop.publish()
        assert shop.redeploy(service="worker").state == CallState.SUCCEEDED
        assert shop.fake.operations == ["update service shop_worker"]

    def test_nothing_to_run_succeeds_at_once(self, shop):
        assert shop.scale(-3, min_replicas=0).state == CallState.SUCCEEDED
        shop.publish()
        call = shop.redeploy(service="web")
        assert call.state == CallState.SUCCEEDED
        assert shop.tasks("web") == []
        assert shop.swarm.find_service("shop_web").spec["TaskTemplate"]["ForceUpdate"] == 1

    @pytest.mark.parametrize("on_failure", OnFailure.values)
    def test_a_reference_that_the_registry_does_not_know_touches_nothing(self, shop, on_failure):
        del shop.fake.registry[IMAGES["worker"]]
        call = shop.redeploy(on_failure=on_failure)
        assert (call.state, call.reason) == (CallState.FAILED, "pull_not_found")
        assert IMAGES["worker"] in call.message
        assert shop.fake.operations == []

    def test_a_registry_that_wants_credentials_is_left_to_the_nodes(self, make_shop):
        shop = make_shop()
        shop.fake.fail_pull(IMAGES["web"], "pull_unauthorized")
        shop.fake.add_image(IMAGES["web"])
        call = shop.redeploy(service="web")
        assert call.state == CallState.SUCCEEDED, call.message
        assert shop.picture()["web"] == (3, [IMAGES["web"]] * 3)
        assert "each node resolves it itself" in call.message

    def test_somebody_elses_change_at_the_same_moment_is_read_again(self, shop):
        shop.publish()
        races = iter(["shop_web", "shop_web"])

        def race(method):
            if method == "update_service" and (name := next(races, None)):
                shop.swarm.find_service(name).version += 1

        shop.fake.before_request = race
        assert shop.redeploy().state == CallState.SUCCEEDED
        assert shop.picture() == shop.newest()

    def test_endless_changes_by_others_end_the_call(self, shop):
        def race(method):
            if method == "update_service":
                for service in shop.swarm.services.values():
                    service.version += 1

        shop.fake.before_request = race
        call = shop.redeploy()
        assert (call.state, call.reason) == (CallState.FAILED, "out_of_sequence")
        assert shop.picture() == shop.before

    def test_an_update_by_somebody_else_supersedes_it(self, shop):
        shop.publish()

        def interfere(method):
            service = shop.swarm.find_service("shop_web")
            if method == "list_nodes" and shop.requested("update service shop_web"):
                shop.fake.before_request = lambda method: None
                spec = {**service.spec, "TaskTemplate": {**service.spec["TaskTemplate"], "ForceUpdate": 9}}
                shop.swarm.update_service("shop_web", service.version, spec, "")

        shop.fake.before_request = interfere
        call = shop.redeploy(service="web")
        assert (call.state, call.reason) == (CallState.FAILED, "superseded"), call.message
        assert shop.requested("roll back service shop_web") == 0

    def test_a_service_that_is_removed_meanwhile_ends_it(self, shop):
        def remove(method):
            if method == "list_nodes" and shop.requested("update service shop_web"):
                shop.fake.before_request = lambda method: None
                shop.swarm.remove_service("shop_web")

        shop.fake.before_request = remove
        call = shop.redeploy(service="web")
        assert (call.state, call.reason) == (CallState.FAILED, "not_found"), call.message
        assert "web was removed in the meantime" in call.message

    def test_an_equal_queued_redeploy_is_coalesced(self, shop):
        trigger = shop.redeploy_trigger()
        first, second = accept_call(request_of(trigger)), accept_call(request_of(trigger))
        assert (second.state, second.coalesced_into) == (CallState.COALESCED, first)
        assert run(first).state == CallState.SUCCEEDED
        assert shop.requested("update service shop_web") == 1


BAD = {
    "crashes": {"Cmd": CRASHES},
    "is never healthy": {"Healthcheck": UNHEALTHY},
    "has to be killed": {"Healthcheck": UNHEALTHY, "StopSignal": "SIGKILL"},
    "ends": {"Cmd": COMPLETES},
}


@pytest.mark.parametrize("config", BAD.values(), ids=BAD.keys())
class TestBadImage:
    def test_a_paused_update_is_rolled_back_as_a_whole(self, make_shop, config):
        shop = make_shop()
        shop.publish(**config)
        call = shop.redeploy()
        assert (call.state, call.reason) == (CallState.ROLLED_BACK, "update_paused"), call.message
        assert "web." in call.message
        assert shop.picture() == shop.before

    def test_a_paused_update_is_left_if_the_trigger_says_so(self, make_shop, config):
        shop = make_shop()
        shop.publish(**config)
        call = shop.redeploy(on_failure=OnFailure.PAUSE)
        assert (call.state, call.reason) == (CallState.FAILED, "update_paused"), call.message
        assert shop.requested("roll back service shop_web") == 0
        assert shop.swarm.find_service("shop_web").status["State"] == "paused"

    @pytest.mark.parametrize("on_failure", OnFailure.values)
    def test_swarms_own_rollback_is_followed(self, make_shop, config, on_failure):
        shop = make_shop(update={"FailureAction": "rollback"})
        shop.publish(**config)
        call = shop.redeploy(service="web", on_failure=on_failure)
        assert call.state == CallState.ROLLED_BACK, call.message
        assert shop.picture() == shop.before
        assert shop.fake.operations == ["update service shop_web"]

    def test_an_update_that_swarm_continues_after_failures_is_a_failure(self, make_shop, config):
        shop = make_shop(update={"FailureAction": "continue"})
        shop.publish(**config)
        call = shop.redeploy()
        assert call.state == CallState.ROLLED_BACK, call.message
        assert shop.picture() == shop.before

    def test_an_update_that_swarm_continues_is_left_if_the_trigger_says_so(self, make_shop, config):
        shop = make_shop(update={"FailureAction": "continue"})
        shop.publish(**config)
        call = shop.redeploy(on_failure=OnFailure.PAUSE)
        assert (call.state, call.reason) == (CallState.FAILED, "tasks_failed"), call.message
        assert shop.requested("roll back service shop_web") == 0


def test_the_tasks_own_error_is_in_the_message(shop):
    shop.publish(Cmd=CRASHES)
    assert "task: non-zero exit (1)" in shop.redeploy().message


def test_a_healthy_image_succeeds(shop):
    shop.publish(Healthcheck=HEALTHY)
    assert shop.redeploy().state == CallState.SUCCEEDED


def test_a_service_that_is_rolled_back_rolls_back_the_whole_stack(shop):
    """The good worker was updated long before web failed."""
    shop.publish(Cmd=CRASHES)
    call = shop.redeploy()
    assert call.state == CallState.ROLLED_BACK
    assert shop.requested("roll back service shop_worker") == 1
    assert shop.picture() == shop.before


def test_dependents_of_a_service_that_fails_are_not_updated(make_shop):
    shop = make_shop(worker_goes_last=True)
    shop.publish(Cmd=CRASHES)
    call = shop.redeploy()
    assert call.state == CallState.ROLLED_BACK, call.message
    assert shop.fake.operations == ["update service shop_web", "roll back service shop_web"]
    assert "worker was not updated" in call.message


def test_dependents_of_a_service_are_updated_once_it_is_healthy(make_shop):
    shop = make_shop(worker_goes_last=True)
    shop.publish()
    states = []
    shop.fake.before_request = lambda method: method == "update_service" and states.append(shop.picture()["web"])
    assert shop.redeploy().state == CallState.SUCCEEDED
    assert states == [shop.before["web"], shop.newest()["web"]]


class TestScaling:
    def test_steps_of_waiting_calls_are_one_change(self, shop):
        trigger = shop.scaling_trigger(max_replicas=8)
        accepted = [accept_call(request_of(trigger, step=step)) for step in (5, 4, -3)]
        run(accepted[0])
        ended = [TriggerCall.objects.get(pk=call.pk) for call in accepted]
        assert {call.state for call in ended} == {CallState.SUCCEEDED}
        assert [call.target_replicas for call in ended] == [8, 8, 5]
        assert shop.requested("update service shop_web") == 1
        assert len(shop.running("web")) == shop.count("web") == 5

    def test_other_tasks_are_left_alone(self, shop):
        assert shop.scale(5).state == CallState.SUCCEEDED
        assert shop.ids < {task.id for task in shop.running("web")}
        assert shop.scale(-5).state == CallState.SUCCEEDED
        assert {task.id for task in shop.running("web")} == shop.ids

    def test_a_service_scales_in_to_zero_and_out_again(self, shop):
        assert shop.scale(-100, min_replicas=0).state == CallState.SUCCEEDED
        assert shop.running("web") == []
        assert shop.scale(2).state == CallState.SUCCEEDED
        assert len(shop.running("web")) == 2

    def test_being_at_the_bound_changes_nothing(self, shop):
        call = shop.scale(1, max_replicas=3)
        assert (call.state, call.reason) == (CallState.SUCCEEDED, "unchanged")
        assert shop.fake.operations == []

    def test_a_scaling_that_cannot_be_placed_is_put_back(self, make_shop):
        shop = make_shop(template={"Resources": {"Reservations": {"MemoryBytes": 1 << 30}}})
        call = shop.scale(5)
        assert (call.state, call.reason) == (CallState.FAILED, "stuck"), call.message
        assert "no suitable node (insufficient resources on 1 node)" in call.message
        assert "set back to 3" in call.message
        assert {task.id for task in shop.running("web")} == shop.ids
        assert shop.count("web") == 3

    def test_a_scaling_that_cannot_be_placed_is_left_if_the_trigger_says_so(self, make_shop):
        shop = make_shop(template={"Resources": {"Reservations": {"MemoryBytes": 1 << 30}}})
        call = shop.scale(5, on_failure=OnFailure.PAUSE)
        assert (call.state, call.reason) == (CallState.FAILED, "stuck")
        assert "left at 8" in call.message
        assert shop.count("web") == 8

    def test_new_tasks_that_crash_are_put_back(self, shop):
        call = accept_call(request_of(shop.scaling_trigger(), step=2))

        def crash_the_new_ones(method):
            for task in shop.tasks("web"):
                if task.slot > 3:
                    task.spec["ContainerSpec"]["Command"] = CRASHES

        shop.fake.before_request = crash_the_new_ones
        call = run(call)
        assert (call.state, call.reason) == (CallState.FAILED, "tasks_failed"), call.message
        assert shop.count("web") == 3
        assert {task.id for task in shop.running("web")} == shop.ids


@pytest.mark.parametrize(
    ("mode", "reason"),
    [({"Global": {}}, "global_mode"), ({"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}, "job_mode")],
)
def test_a_service_without_a_count_is_not_scaled(shop, mode, reason):
    service = shop.swarm.find_service("shop_web")
    service.spec["Mode"] = mode
    call = shop.scale(1)
    assert (call.state, call.reason) == (CallState.FAILED, reason)
    assert call.message.endswith("Nothing was touched.")
    assert shop.fake.operations == []


# Losses


def test_an_engine_that_is_no_manager_fails_the_call(shop):
    shop.swarm.is_manager = False
    call = shop.redeploy()
    assert (call.state, call.reason) == (CallState.FAILED, "not_a_manager")


@pytest.mark.parametrize("loss", ["unreachable", "leaderless"])
def test_a_manager_that_comes_back_is_retried(shop, loss):
    shop.publish()
    place = shop.swarm if loss == "leaderless" else shop.fake
    left = iter(range(20))

    def come_and_go(method):
        is_away = bool(shop.requested("update service shop_web")) and next(left, None) is not None
        setattr(place, loss, "context deadline exceeded" if is_away else "")

    shop.fake.before_request = come_and_go
    call = shop.redeploy()
    assert call.state == CallState.SUCCEEDED, call.message
    assert shop.requested("update service shop_web") == 1
    assert shop.picture() == shop.newest()


@pytest.mark.parametrize("answers", [1, 8], ids=["a moment", "a while"])
def test_an_update_whose_answer_is_lost_is_not_sent_again(shop, monkeypatch, answers):
    shop.publish()
    send = shop.fake.update_service
    lost = iter(range(answers))

    def send_and_lose(*arguments):
        answer = send(*arguments)
        if next(lost, None) is not None:
            raise EngineUnreachable("The engine does not answer: timed out.")
        return answer

    monkeypatch.setattr(shop.fake, "update_service", send_and_lose)
    call = shop.redeploy()
    assert call.state == CallState.SUCCEEDED, call.message
    assert [shop.requested(f"update service shop_{name}") for name in IMAGES] == [1, 1]


def lose_node(shop, state):
    """node2 is lost as soon as a task of the update has reached this state there; Swarm waits for ever for one that did not
    run yet."""
    node2 = list(shop.swarm.nodes)[1]

    def look(method):
        if any(task.node_id == node2 and task.state == state and task.spec["ForceUpdate"] for task in shop.tasks("web")):
            shop.swarm.set_node("node2", state="down")

    shop.fake.before_request = look
    return node2


@pytest.mark.parametrize("order", ["stop-first", "start-first"])
class TestLostNode:
    @pytest.mark.parametrize("state", ["assigned", "preparing", "starting", "running"])
    def test_the_other_nodes_are_updated(self, make_shop, state, order):
        shop = make_shop(nodes=["node2", "node3"], update={"Order": order})
        shop.publish()
        node2 = lose_node(shop, state)
        call = shop.redeploy()
        assert shop.swarm.nodes[node2]["Status"]["State"] == "down"
        assert call.state == CallState.SUCCEEDED, call.message
        running = [task for task in shop.running("web") if task.node_id != node2]
        assert [task.spec["ContainerSpec"]["Image"] for task in running] == shop.newest()["web"][1]
        assert {task.spec["ForceUpdate"] for task in running} == {1}

    @pytest.mark.parametrize("state", ["assigned", "preparing"])
    def test_a_bad_image_is_rolled_back(self, make_shop, state, order):
        shop = make_shop(nodes=["node2", "node3"], update={"Order": order})
        shop.publish(Cmd=CRASHES)
        node2 = lose_node(shop, state)
        call = shop.redeploy()
        assert shop.swarm.nodes[node2]["Status"]["State"] == "down"
        assert call.state == CallState.ROLLED_BACK, (call.reason, call.message)
        running = [task for task in shop.running("web") if task.node_id != node2]
        assert [task.spec["ContainerSpec"]["Image"] for task in running] == shop.before["web"][1]


def test_a_resumed_update_that_fails_is_rolled_back_by_sending_the_previous_image(make_shop):
    """By then, Swarm's previous spec is the update itself."""
    shop = make_shop(nodes=["node2", "node3"])
    shop.publish()
    node2 = lose_node(shop, "assigned")
    lose = shop.fake.before_request

    def lose_and_crash(method):
        lose(method)
        if WOKEN_LABEL in shop.swarm.find_service("shop_web").spec["Labels"]:
            for task in shop.tasks("web"):
                if task.spec["ForceUpdate"]:
                    task.spec["ContainerSpec"]["Command"] = CRASHES

    shop.fake.before_request = lose_and_crash
    call = shop.redeploy(service="web")
    assert call.state == CallState.ROLLED_BACK, (call.reason, call.message)
    assert any("a label is set to wake it up" in text for text in events_of(call))
    assert (shop.requested("update service shop_web"), shop.requested("roll back service shop_web")) == (3, 0)
    assert shop.swarm.find_service("shop_web").spec["TaskTemplate"]["ForceUpdate"] == 0
    running = [task for task in shop.running("web") if task.node_id != node2]
    assert [task.spec["ContainerSpec"]["Image"] for task in running] == shop.before["web"][1]


# Deaths


class Story:
    """What is prepared, what is requested, and how it must end whichever worker dies in the middle."""

    def __init__(self, config=None, step=None, state=CallState.SUCCEEDED, on_failure=OnFailure.ROLLBACK, **options):
        self.config, self.step, self.state, self.on_failure, self.options = config or {}, step, state, on_failure, options

    def begin(self, make_shop):
        shop = make_shop(**self.options)
        if self.step is None:
            shop.publish(**self.config)
            return shop, accept_call(request_of(shop.redeploy_trigger(on_failure=self.on_failure)))
        return shop, accept_call(request_of(shop.scaling_trigger(on_failure=self.on_failure), step=self.step))

    def judge(self, shop, call, where):
        assert call.state == self.state, (where, call.reason, call.message, events_of(call))
        sent = [shop.requested(f"update service shop_{name}") for name in IMAGES]
        back = [shop.requested(f"roll back service shop_{name}") for name in IMAGES]
        if self.step is not None:
            is_well = self.state == CallState.SUCCEEDED
            assert sent == [1 if is_well else 2, 0], (where, shop.fake.operations)
            assert shop.count("web") == len(shop.running("web")) == (3 + self.step if is_well else 3), where
        elif self.state == CallState.ROLLED_BACK:
            assert max(sent) <= 1, (where, shop.fake.operations)
            assert max(back) <= 1, (where, shop.fake.operations)
            assert shop.picture() == shop.before, where
        elif self.state == CallState.SUCCEEDED:
            assert (sent, back) == ([1, 1], [0, 0]), (where, shop.fake.operations)
            assert shop.picture() == shop.newest(), where
        else:
            assert (max(sent), back) == (1, [0, 0]), (where, shop.fake.operations)


NO_ROOM = {
    "template": {"Resources": {"Reservations": {"MemoryBytes": 1 << 30}}},
    "labels": {"windlass.update.timeout": "2s"},
}
STORIES = {
    "a good image": Story(),
    "a good image, one service after the other": Story(worker_goes_last=True, update={"Parallelism": 0}),
    "a crashing image": Story({"Cmd": CRASHES}, state=CallState.ROLLED_BACK),
    "a crashing image, left paused": Story({"Cmd": CRASHES}, state=CallState.FAILED, on_failure=OnFailure.PAUSE),
    "a crashing image, Swarm rolls back": Story(
        {"Cmd": CRASHES}, state=CallState.ROLLED_BACK, update={"FailureAction": "rollback"}
    ),
    "a crashing image, Swarm carries on": Story(
        {"Cmd": CRASHES}, state=CallState.ROLLED_BACK, update={"FailureAction": "continue"}
    ),
    "more tasks": Story(step=4),
    "fewer tasks": Story(step=-2),
    "more than there is room for": Story(step=4, state=CallState.FAILED, **NO_ROOM),
}


def die_after(shop, requests):
    """Let this many requests through; at the next one the worker dies."""
    left = iter(range(requests))

    def countdown(method):
        if next(left, None) is None:
            raise Killed

    shop.fake.before_request = countdown


def run_until_death(shop, call, requests):
    """Return whether the worker died."""
    die_after(shop, requests)
    try:
        run(call)
    except Killed:
        expire_lease(call)
        return True
    finally:
        shop.fake.before_request = lambda method: None
    return False


@pytest.mark.parametrize("steps", [0, 50], ids=["taken over at once", "taken over late"])
@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_a_call_ends_right_when_its_worker_dies_at_any_request(make_shop, story, steps):
    for requests in range(REQUESTS):
        shop, call = story.begin(make_shop)
        if not run_until_death(shop, call, requests):
            story.judge(shop, call, requests)
            assert requests > 5
            return
        shop.swarm.settle(steps)
        story.judge(shop, run(call), requests)
        assert call.attempts == 2
    pytest.fail(f"still dying after {REQUESTS} requests")


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_a_call_ends_right_after_two_deaths_of_its_worker(make_shop, story):
    for requests in range(3, REQUESTS, 11):
        for more in (1, 5, 14):
            shop, call = story.begin(make_shop)
            if not run_until_death(shop, call, requests):
                return
            run_until_death(shop, call, more)
            story.judge(shop, run(call), (requests, more))

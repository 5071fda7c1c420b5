"""The way through a Swarm's plan, on the engine in memory."""

import json

import pytest

from clusters.engine import retry
from clusters.engine.driver import Intent, Target
from clusters.engine.drivers import driver_for
from clusters.engine.errors import Cancelled, EngineUnreachable, HandOver, PullFailed
from clusters.engine.fakes.fake_engine import CRASHES, RUNS, FakeEngine
from clusters.engine.snapshot import Snapshot
from clusters.engine.swarm import follow
from clusters.registry.errors import RegistryError

LABELS = {"com.docker.stack.namespace": "shop", "windlass.update.monitor": "0s"}
STACK = Target("shop", "stack")


class Killed(BaseException):
    """The worker is gone."""


class Drive:
    def __init__(self, outcome, events, progress):
        self.outcome, self.events, self.progress = outcome, events, progress


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    for name in ("POLL_SECONDS", "QUIET_POLL_SECONDS"):
        monkeypatch.setattr(follow, name, 0)
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0)


@pytest.fixture
def fake():
    """A stack of `api` and `web`, whose images are in the registry."""
    engine = FakeEngine()
    engine.init_swarm("worker1", "worker2")
    for name in ("api", "web"):
        engine.publish(f"{name}:1", Cmd=RUNS)
        add_service(engine, name)
    engine.swarm.settle()
    return engine


def add_service(engine, name, *, image="", labels=None, replicas=2, mode=None, **config):
    digest = engine.digest_of(engine.registry[f"{name}:1"])
    template = {"ContainerSpec": {"Image": image or f"{name}:1@{digest}"}}
    spec = {
        "Name": f"shop_{name}",
        "Labels": {**LABELS, **(labels or {})},
        "TaskTemplate": template,
        "Mode": mode or {"Replicated": {"Replicas": replicas}},
        "UpdateConfig": {"Parallelism": 1, "FailureAction": "pause", "Order": "stop-first", **config},
    }
    engine.swarm.create_service(spec)


def snapshot(fake, target=STACK):
    return Snapshot.from_json(json.loads(json.dumps(driver_for("stack").observe(fake, target).snapshot().to_json())))


def run(fake, target=STACK, *, replicas=None, intent=None, check=lambda: None):
    driver, events, progress = driver_for(target.source), [], []
    observation, intent = driver.observe(fake, target), intent or Intent()
    plan = (
        driver.plan_redeploy(observation, intent)
        if replicas is None
        else driver.plan_scale(observation, target.service, replicas, intent)
    )
    outcome = driver.execute(fake, plan, lambda *event: events.append(event), check, lambda *shown: progress.append(shown))
    return Drive(outcome, events, progress)


def fail(fake, method, error, times=1):
    left = [error] * times

    def refuse(called):
        if called == method and left:
            raise left.pop()

    fake.before_request = refuse


def count(fake, operation):
    return sum(line.startswith(operation) for line in fake.operations)


def force_updates(fake):
    return {service.name: service.spec["TaskTemplate"].get("ForceUpdate", 0) for service in fake.swarm.services.values()}


def test_a_stack_is_updated_side_by_side_and_the_message_says_to_what(fake):
    fake.publish("web:1", Cmd=RUNS)
    drive = run(fake)
    assert drive.outcome.state == "succeeded"
    assert "2 of api with api:1@sha256:" in drive.outcome.message
    assert "2 of web with web:1@sha256:" in drive.outcome.message
    assert force_updates(fake) == {"shop_api": 1, "shop_web": 1}


def test_progress_is_told_when_it_changes_and_no_more(fake):
    told = [shown for shown in run(fake).progress if shown[0] == "web"]
    assert told == [("web", 0, 2), ("web", 1, 2), ("web", 2, 2)]


class SlowClock:
    """Stands still but for sleeps and slow requests."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def test_looks_that_take_long_to_answer_are_taken_until_they_have_seen_the_monitor_period(fake, monkeypatch):
    monkeypatch.setattr(follow, "time", clock := SlowClock())
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.25)
    fake.swarm.find_service("shop_web").spec["Labels"]["windlass.update.monitor"] = "1s"
    answered = []  # to the looks that were taken of converged tasks

    def answer(called):
        if called == "list_nodes":  # the last request of a look, and it takes long
            clock.sleep(0.25)
            updated = [task for task in fake.swarm.tasks if task.spec.get("ForceUpdate") == 1 and task.state == "running"]
            answered.extend([clock.now] if len(updated) == 2 else [])

    fake.before_request = answer
    assert run(fake, Target("shop", "stack", "web")).outcome.state == "succeeded"
    assert answered[-1] - 0.25 - answered[0] >= 1


def test_one_reference_that_the_registry_lost_leaves_every_service_alone(fake):
    del fake.registry["web:1"]
    drive = run(fake)
    assert (drive.outcome.state, drive.outcome.reason) == ("failed", "pull_not_found")
    assert count(fake, "update service") == 0


def test_a_registry_that_keeps_the_manager_waiting_is_no_lost_manager(fake):
    fail(fake, "resolve_digest", EngineUnreachable("The engine did not answer in time."), times=2)
    drive = run(fake)
    assert drive.outcome.state == "succeeded"
    assert drive.outcome.message.count("could not be asked for (The engine did not answer in time)") == 2


def test_a_refused_login_is_told_and_the_nodes_are_left_to_it(fake):
    fake.registry["web:1"] = PullFailed("web:1 could not be pulled: denied.", code="pull_unauthorized")
    fake.add_image("web:1", Cmd=RUNS)
    drive = run(fake, Target("shop", "stack", "web"))
    assert drive.outcome.state == "succeeded"
    assert "each node resolves it itself, with the credentials that Swarm has." in drive.outcome.message


def test_credentials_that_are_refused_for_a_known_image_touch_nothing(fake):
    fake.private["web:1"] = "me:right"
    fake.credentials = lambda reference: {"username": "me", "password": "wrong"}
    drive = run(fake)
    assert (drive.outcome.state, drive.outcome.reason) == ("failed", "pull_unauthorized")
    assert count(fake, "update service") == 0


def fail_to_read(reference):
    raise RegistryError("The credential helper ecr-login did not answer within 10 s.", "helper_failed")


@pytest.mark.parametrize("act", ["redeploy", "restart", "scale"])
def test_credentials_that_cannot_be_read_touch_nothing(fake, act):
    fake.credentials = fail_to_read
    driver = driver_for("stack")
    observation = driver.observe(fake, STACK)
    plans = {
        "redeploy": lambda: driver.plan_redeploy(observation),
        "restart": lambda: driver.plan_act(observation, "restart"),
        "scale": lambda: driver.plan_scale(observation, "web", 3),
    }
    outcome = driver.execute(fake, plans[act](), lambda *event: None, lambda: None)
    assert (outcome.state, outcome.reason) == ("failed", "credentials_failed")
    assert "The credential helper ecr-login did not answer within 10 s." in outcome.message
    assert count(fake, "update service") == 0


def test_credentials_are_asked_anew_for_the_look_up_and_for_each_update(fake):
    asked = []
    fake.credentials = lambda reference: asked.append(reference.partition("@")[0])
    run(fake)
    assert sorted(asked) == ["api:1", "api:1", "web:1", "web:1"]
    run(fake, Target("shop", "stack", "web"), replicas=3)
    assert sorted(asked) == ["api:1", "api:1", "web:1", "web:1", "web:1"]


WEB = Target("shop", "stack", "web")
STACK_IMAGE = "com.docker.stack.image"


def spec_of(fake, name="shop_web"):
    return fake.swarm.find_service(name).spec


def test_another_tag_stays_for_later_redeploys_also_in_place_of_a_written_digest(fake):
    spec = spec_of(fake)
    spec["Labels"][STACK_IMAGE] = spec["TaskTemplate"]["ContainerSpec"]["Image"]
    fake.publish("web:2", Cmd=RUNS)
    assert run(fake, WEB, intent=Intent(tag="2")).outcome.state == "succeeded"
    assert spec_of(fake)["Labels"][STACK_IMAGE] == "web:2"
    rebuilt = fake.publish("web:2", Cmd=RUNS)
    assert run(fake, WEB).outcome.state == "succeeded"
    assert spec_of(fake)["TaskTemplate"]["ContainerSpec"]["Image"] == f"web:2@{fake.digest_of(rebuilt)}"


def test_another_tag_that_fails_goes_back_to_the_old_reference(fake):
    spec = spec_of(fake)
    spec["Labels"][STACK_IMAGE] = "web:1"
    before = json.loads(json.dumps(spec))
    fake.publish("web:2", Cmd=CRASHES)
    assert run(fake, WEB, intent=Intent(tag="2")).outcome.state == "rolled_back"
    assert spec_of(fake) == before


@pytest.mark.parametrize("problem", ["unknown", "silent registry", "silent engine"])
def test_another_tag_that_cannot_be_resolved_touches_nothing(fake, problem):
    if problem == "silent registry":
        fake.fail_pull("web:2")
    elif problem == "silent engine":
        fail(fake, "resolve_digest", EngineUnreachable("The engine did not answer in time."))
    drive = run(fake, WEB, intent=Intent(tag="2"))
    assert drive.outcome.state == "failed"
    assert "Nothing was touched." in drive.outcome.message
    assert count(fake, "update service") == 0


def test_a_hiccup_is_waited_for(fake):
    fail(fake, "list_tasks", EngineUnreachable("connection refused."), times=1)
    driver = driver_for("stack")
    plan = driver.plan_redeploy(driver.observe(FakeView(fake), STACK))
    events = []
    outcome = driver.execute(fake, plan, lambda *event: events.append(event), lambda: None)
    assert outcome.state == "succeeded"
    assert ("warning", "wait", "connection refused. Trying again.") in events


class FakeView:
    """The same engine for requests that no hook shall see."""

    def __init__(self, fake):
        self._fake = fake

    def __getattr__(self, name):
        def request(*arguments):
            hook, self._fake.before_request = self._fake.before_request, lambda method: None
            try:
                return getattr(self._fake, name)(*arguments)
            finally:
                self._fake.before_request = hook

        return request


@pytest.mark.parametrize("loss", ["unreachable", "no manager", "no leader"])
def test_a_manager_that_is_lost_comes_out_so_that_another_can_go_on(fake, loss):
    def lose(method):
        if method == "update_service":
            lost.append(method)
        if lost and method == "list_services":
            if loss == "unreachable":
                fake.unreachable = "gone"
            elif loss == "no manager":
                fake.swarm.is_manager = False
            else:
                fake.swarm.leaderless = "The swarm does not have a leader."

    lost = []
    fake.before_request = lose
    with pytest.raises(EngineUnreachable):
        run(fake)


def test_a_stack_goes_back_as_a_whole_when_one_service_crashes(fake):
    before = {service.name: service.spec["TaskTemplate"] for service in fake.swarm.services.values()}
    fake.publish("web:1", Cmd=CRASHES)
    drive = run(fake)
    assert (drive.outcome.state, drive.outcome.reason) == ("rolled_back", "update_paused")
    assert "non-zero exit (1)" in drive.outcome.message
    assert "The previous version runs again: 2 of 2 tasks of api run api:1@sha256:" in drive.outcome.message
    assert {service.name: service.spec["TaskTemplate"] for service in fake.swarm.services.values()} == before


def test_what_swarm_took_back_by_itself_is_told_beside_what_it_did_not(fake):
    fake.swarm.find_service("shop_web").spec["UpdateConfig"]["FailureAction"] = "rollback"
    fake.publish("web:1", Cmd=CRASHES)
    drive = run(fake, intent=Intent("pause"))
    assert (drive.outcome.state, drive.outcome.reason) == ("failed", "partly_rolled_back")
    assert force_updates(fake) == {"shop_api": 1, "shop_web": 0}


def test_a_later_wave_is_not_begun_after_a_failure(fake):
    fake.swarm.find_service("shop_web").spec["Labels"]["windlass.depends"] = "api"
    fake.publish("api:1", Cmd=CRASHES)
    drive = run(fake)
    assert drive.outcome.state == "rolled_back"
    assert drive.outcome.message.endswith("web was not updated.")
    assert force_updates(fake) == {"shop_api": 0, "shop_web": 0}


# A worker that dies before any of its requests, and one that goes on


def die_before(fake, request):
    left = [request]

    def hook(method):
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    fake.before_request = hook


def run_with_deaths(fake, request, **options):
    """The outcome, of the first worker or the one that took over; whether the first one died."""
    intent = Intent(before=snapshot(fake))
    die_before(fake, request)
    try:
        return run(fake, intent=intent, **options), False
    except Killed:
        fake.before_request = lambda method: None
        return run(fake, intent=intent, **options), True


def make_fake():
    engine = FakeEngine()
    engine.init_swarm("worker1", "worker2")
    for name in ("api", "web"):
        engine.publish(f"{name}:1", Cmd=RUNS)
        add_service(engine, name, labels={"windlass.depends": "api"} if name == "web" else {})
    engine.swarm.settle()
    return engine


def test_no_update_is_sent_twice_wherever_a_worker_dies():
    request, died = 0, True
    while died:
        fake = make_fake()
        drive, died = run_with_deaths(fake, request)
        assert drive.outcome.state == "succeeded", (request, drive.outcome)
        assert force_updates(fake) == {"shop_api": 1, "shop_web": 1}, request
        assert count(fake, "update service") == 2, request
        request += 1
    assert request > 10


def test_all_has_gone_back_wherever_a_worker_dies():
    request, died = 0, True
    while died:
        fake = make_fake()
        fake.publish("web:1", Cmd=CRASHES)
        drive, died = run_with_deaths(fake, request)
        assert drive.outcome.state == "rolled_back", (request, drive.outcome)
        assert "non-zero exit (1)" in drive.outcome.message, (request, drive.outcome)
        assert force_updates(fake) == {"shop_api": 0, "shop_web": 0}, request
        assert (count(fake, "update service"), count(fake, "roll back service")) == (2, 2), request
        request += 1
    assert request > 20


def test_a_scaling_is_sent_once_wherever_a_worker_dies():
    request, died = 0, True
    while died:
        fake = make_fake()
        drive, died = run_with_deaths(fake, request, target=Target("shop", "stack", "web"), replicas=4)
        assert drive.outcome.state == "succeeded", (request, drive.outcome)
        assert count(fake, "update service") == 1, request
        request += 1
    assert request > 5


def test_what_check_raises_comes_out(fake):
    checks = []

    def check():
        checks.append(None)
        if len(checks) > 5:
            raise Killed

    with pytest.raises(Killed):
        run(fake, check=check)


class AtRequest:
    """A check that raises `error` from the moment on at which the engine gets its `number`th request."""

    def __init__(self, fake, number, error):
        self.left, self.error, self.is_due = number, error, False
        fake.before_request = self.count

    def count(self, method):
        self.left -= 1
        self.is_due = self.is_due or self.left < 0

    def __call__(self):
        if self.is_due:
            raise self.error


def images(fake):
    return {service.name: service.spec["TaskTemplate"]["ContainerSpec"]["Image"] for service in fake.swarm.services.values()}


@pytest.mark.parametrize("on_failure", ["rollback", "pause"])
def test_a_redeploy_that_is_cancelled_at_any_request_goes_back_or_was_done(on_failure):
    states, number = [], 0
    while not states or states[-1] != "succeeded":
        fake = make_fake()
        before = images(fake)
        fake.publish("web:1", Cmd=RUNS)
        fake.publish("api:1", Cmd=RUNS)
        outcome = run(fake, intent=Intent(on_failure), check=AtRequest(fake, number, Cancelled("Cancelled by bob."))).outcome
        states.append(outcome.state)
        if outcome.state != "succeeded":
            assert (outcome.reason, images(fake)) == ("cancelled", before), (number, outcome)
            assert outcome.message.startswith("Cancelled by bob. "), outcome
        number += 3
    assert set(states) == {"failed", "rolled_back", "succeeded"}


def test_an_update_that_a_lost_worker_sent_goes_back_when_its_call_is_cancelled(fake):
    before, spec = snapshot(fake), images(fake)
    fake.publish("web:1", Cmd=RUNS)

    def die(method):
        if count(fake, "update service") == 2:
            raise Killed

    fake.before_request = die
    with pytest.raises(Killed):
        run(fake)
    fake.before_request = lambda method: None
    outcome = run(fake, intent=Intent(before=before), check=AtRequest(fake, 0, Cancelled("Cancelled by bob."))).outcome
    assert (outcome.state, outcome.reason, images(fake)) == ("rolled_back", "cancelled", spec)


def test_a_restart_that_is_cancelled_is_not_run_once_more_to_go_back(fake):
    driver = driver_for("stack")
    planned = driver.plan_act(driver.observe(fake, STACK), "restart")
    check = AtRequest(fake, 12, Cancelled("Cancelled by bob."))
    outcome = driver.execute(fake, planned, lambda *event: None, check)
    assert (outcome.state, outcome.reason) == ("failed", "cancelled")
    assert count(fake, "roll back service") == 0


@pytest.mark.parametrize("on_failure", ["rollback", "pause"])
def test_a_scaling_that_is_cancelled_at_any_request_puts_the_count_back_or_was_done(on_failure):
    target, states, number = Target("shop", "stack", "web"), [], 0
    while not states or states[-1] != "succeeded":
        fake = make_fake()
        check = AtRequest(fake, number, Cancelled("Cancelled by bob."))
        outcome = run(fake, target, replicas=4, intent=Intent(on_failure), check=check).outcome
        states.append(outcome.state)
        if outcome.state != "succeeded":
            running = snapshot(fake, target).services["web"].running
            assert (outcome.reason, running) == ("cancelled", 2), (number, outcome)
        number += 1
    assert set(states) == {"failed", "rolled_back", "succeeded"}


def test_a_worker_that_is_to_end_leaves_the_rest_to_another(fake):
    before = snapshot(fake)
    fake.publish("web:1", Cmd=RUNS)
    with pytest.raises(HandOver):
        run(fake, check=AtRequest(fake, 9, HandOver()))
    fake.before_request = lambda method: None
    assert run(fake, intent=Intent(before=before)).outcome.state == "succeeded"
    assert count(fake, "update service") == 2

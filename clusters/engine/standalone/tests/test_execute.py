import threading
import time

import pytest

from clusters.engine import retry
from clusters.engine.connection.credentials import PullCredentials
from clusters.engine.driver import Intent, Target
from clusters.engine.drivers import driver_for
from clusters.engine.errors import Cancelled, EngineRefused, EngineUnreachable, HandOver, TargetMissing
from clusters.engine.fakes.fake_engine import CRASHES, FakeEngine
from clusters.engine.fakes.fake_logs import cut_pieces
from clusters.engine.snapshot import Snapshot
from clusters.engine.standalone.execute import SETTLE_ATTEMPTS
from clusters.registry.errors import RegistryError

LABELS = {
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": "web",
    "com.docker.compose.container-number": "1",
    "windlass.update.monitor": "0s",
}


@pytest.fixture
def fake():
    engine = FakeEngine()
    engine.add_image("app:1", Env=["VERSION=1"])
    engine.run("shop-web-1", "app:1", Labels=LABELS)
    engine.add_image("app:1", Env=["VERSION=2"])
    return engine


def plan(fake, replicas=0):
    driver = driver_for("compose")
    observation = driver.observe(fake, Target("shop", "compose"))
    return driver.plan_scale(observation, "web", replicas) if replicas else driver.plan_redeploy(observation)


def execute(fake, planned, check=lambda: None):
    events = []
    outcome = driver_for("compose").execute(fake, planned, lambda *event: events.append(event), check)
    return outcome, events


def keep(fake, planned):
    kept = []
    outcome = driver_for("compose").execute(fake, planned, lambda *e: None, lambda: None, lambda *p: None, kept.append)
    return outcome, kept


def fail_once(fake, method, error, times=1):
    """Make the next requests of this method fail before they reach the engine."""
    left = [error] * times

    def refuse(called):
        if called == method and left:
            raise left.pop()

    fake.before_request = refuse


def test_success_says_how_many_run_which_image(fake):
    outcome, _ = execute(fake, plan(fake))
    image_id = fake.inspect_container("shop-web-1")["Image"]
    assert outcome.message == f"1 container of shop now runs {image_id[:19]} (app:1)."


def test_a_container_that_cannot_be_removed_at_the_end_is_left_for_later_and_the_rest_is_removed(fake):
    fake.run("shop-web-2", "app:1", Labels={**LABELS, "com.docker.compose.container-number": "2"})
    planned = plan(fake)
    fail_once(fake, "remove_container", EngineRefused("device or resource busy"))
    outcome, events = execute(fake, planned)
    assert outcome.state == "succeeded"
    assert sum("left for later" in text and "device or resource busy" in text for _, _, text in events) == 1
    assert len(fake.containers) == 3


def test_scaling_says_the_count(fake):
    assert execute(fake, plan(fake, 3))[0].message == "shop/web now runs 3 containers."


def redeploy(fake, intent):
    driver = driver_for("compose")
    return execute(fake, driver.plan_redeploy(driver.observe(fake, Target("shop", "compose")), intent))[0]


def image_of(fake):
    found = fake.inspect_container("shop-web-1")
    return found["Config"]["Image"], found["Image"]


def test_another_tag_is_the_containers_own_from_then_on(fake):
    second = fake.publish("app:2")
    assert redeploy(fake, Intent(tag="2")).state == "succeeded"
    assert image_of(fake) == ("app:2", second)
    rebuilt = fake.publish("app:2")
    assert redeploy(fake, Intent()).state == "succeeded"
    assert image_of(fake) == ("app:2", rebuilt)


def test_another_tag_that_fails_leaves_the_old_reference(fake):
    before = image_of(fake)
    fake.publish("app:2", Cmd=CRASHES)
    assert redeploy(fake, Intent(tag="2")).state == "rolled_back"
    assert image_of(fake) == before


def test_a_tag_that_no_registry_has_touches_nothing(fake):
    before = fake.inspect_container("shop-web-1")
    outcome = redeploy(fake, Intent(tag="2"))
    assert (outcome.state, outcome.reason) == ("failed", "pull_not_found")
    assert fake.inspect_container("shop-web-1") == before


def test_credentials_are_read_for_each_pull_and_nothing_is_touched_while_they_are_wrong(fake):
    fake.private["app:2"] = "me:right"
    fake.publish("app:2")
    answers = [None, {"username": "me", "password": "wrong"}, {"username": "me", "password": "right"}]
    fake.credentials = lambda reference, endpoint: PullCredentials(answers.pop(0))
    states = [redeploy(fake, Intent(tag="2")) for _ in range(3)]
    assert [outcome.state for outcome in states] == ["failed", "failed", "succeeded"]
    assert states[0].reason == states[1].reason == "pull_unauthorized"


def test_nothing_is_touched_if_credentials_cannot_be_read(fake):
    def fail(reference, endpoint):
        raise RegistryError("The credential helper ecr-login did not answer within 10 s.", "helper_failed")

    fake.credentials = fail
    outcome = redeploy(fake, Intent(tag="2"))
    assert (outcome.state, outcome.reason) == ("failed", "credentials_failed")
    assert "ecr-login did not answer within 10 s. Nothing was touched." in outcome.message
    assert not fake.operations


def test_a_short_outage_of_the_engine_is_waited_for(fake, monkeypatch):
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0)
    fail_once(fake, "start_container", EngineUnreachable("The engine does not answer: connection refused."), times=2)
    outcome, events = execute(fake, plan(fake))
    assert outcome.state == "succeeded"
    assert sum("Trying again" in text for _, _, text in events) == 2


def test_a_long_outage_of_the_engine_is_raised(fake, monkeypatch):
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0)
    fail_once(fake, "start_container", EngineUnreachable("gone"), times=100)
    with pytest.raises(EngineUnreachable):
        execute(fake, plan(fake))


def test_a_refused_creation_is_a_failure_that_touched_nothing(fake):
    fail_once(fake, "create_container", EngineRefused("invalid mount"))
    outcome, _ = execute(fake, plan(fake))
    assert (outcome.state, outcome.message) == ("failed", "invalid mount. Nothing was touched.")
    assert fake.names() == fake.running() == {"shop-web-1"}


def test_a_refused_start_is_rolled_back(fake):
    fail_once(fake, "start_container", EngineRefused("no such device"))
    outcome, _ = execute(fake, plan(fake))
    assert (outcome.state, outcome.message) == ("rolled_back", "no such device. The previous container is running again.")
    assert fake.names() == fake.running() == {"shop-web-1"}


def test_a_container_whose_network_is_missing_for_a_moment_is_renamed_a_little_later(fake):
    fail_once(fake, "rename_container", TargetMissing("sandbox 1234 not found"))
    assert execute(fake, plan(fake))[0].state == "succeeded"
    assert fake.running() == {"shop-web-1"}


@pytest.mark.parametrize("auto_remove", [False, True])
def test_a_container_that_cannot_be_started_for_a_rollback_runs_again_with_the_next_redeploy(auto_remove):
    fake = FakeEngine()
    fake.add_image("app:1")
    fake.run("shop-web-1", "app:1", Labels=LABELS, HostConfig={"Binds": ["data:/data"], "AutoRemove": auto_remove})
    planned = plan(fake)
    fail_once(fake, "start_container", EngineRefused("no space left on device"), times=2 + SETTLE_ATTEMPTS)
    outcome, _ = execute(fake, planned)
    assert outcome.state == "failed"
    assert "The rollback had problems: start" in outcome.message
    assert not fake.running()
    assert execute(fake, plan(fake))[0].state == "succeeded"
    assert fake.names() == fake.running() == {"shop-web-1"}


def test_a_container_that_somebody_removes_meanwhile_is_reported_as_missing(fake):
    planned = plan(fake)
    fake.stop_container("shop-web-1")
    fake.remove_container("shop-web-1")
    outcome, _ = execute(fake, planned)
    assert (outcome.state, outcome.reason) == ("failed", "not_found")
    assert fake.names() == set()


def test_an_exception_of_check_is_raised_during_a_wait(fake):
    class Stop(Exception):
        pass

    started = threading.Event()

    def check():
        if started.is_set():
            raise Stop

    labels = LABELS | {"windlass.update.monitor": "1h", "com.docker.compose.project": "slow"}
    fake.run("slow-web-1", "app:1", Labels=labels)
    driver = driver_for("compose")
    planned = driver.plan_redeploy(driver.observe(fake, Target("slow", "compose")))

    def report(level, operation, text):
        if operation == "watch":
            started.set()

    begun = time.monotonic()
    with pytest.raises(Stop):
        driver.execute(fake, planned, report, check)
    assert time.monotonic() - begun < 10


def test_checks_and_reports_happen_in_the_callers_thread(fake):
    threads = set()
    labels = LABELS | {"windlass.update.parallelism": "3"}
    for number in (2, 3):
        fake.run(f"shop-web-{number}", "app:1", Labels=labels | {"com.docker.compose.container-number": str(number)})
    driver_for("compose").execute(
        fake,
        plan(fake, 6),
        lambda *event: threads.add(threading.current_thread()),
        lambda: threads.add(threading.current_thread()),
    )
    assert threads == {threading.current_thread()}


class AtRequest:
    """A check that raises `error` once the engine has received `number` requests."""

    def __init__(self, fake, number, error):
        self.left, self.error, self.is_due = number, error, False
        fake.before_request = self.count

    def count(self, method):
        self.left -= 1
        self.is_due = self.is_due or self.left < 0

    def __call__(self):
        if self.is_due:
            raise self.error


def describe_containers(fake):
    return {name: fake.inspect_container(name)["Image"] for name in fake.names()}


@pytest.fixture
def quick_checks(monkeypatch):
    monkeypatch.setattr("clusters.engine.lanes.BEAT_SECONDS", 0.0)


def test_a_redeploy_that_is_cancelled_at_any_request_changes_nothing_or_completes(fake, quick_checks):
    states, number = [], 0
    while not states or states[-1] != "succeeded":
        engine = FakeEngine()
        engine.publish("app:1", Env=["VERSION=1"])
        engine.pull_image("app:1")
        for place in (1, 2):
            labels = LABELS | {"com.docker.compose.container-number": str(place)}
            engine.run(f"shop-web-{place}", "app:1", Labels=labels)
        before = describe_containers(engine)
        engine.publish("app:1", Env=["VERSION=2"])
        planned = plan(engine)
        outcome, _ = execute(engine, planned, AtRequest(engine, number, Cancelled("Cancelled by bob.")))
        states.append(outcome.state)
        if outcome.state != "succeeded":
            assert outcome.reason == "cancelled", number
            assert describe_containers(engine) == before, number
            assert engine.running() == engine.names(), number
            is_back = outcome.message == "Cancelled by bob. The previous containers are running again."
            assert is_back or outcome.message.startswith("Cancelled by bob. "), outcome.message
        number += 1
    assert {"failed", "rolled_back", "succeeded"} == set(states)
    assert states.count("rolled_back") > 4


def test_a_scaling_out_that_is_cancelled_leaves_no_container(fake, quick_checks):
    states = set()
    for number in range(8):
        before = fake.names()
        outcome, _ = execute(fake, plan(fake, 4), AtRequest(fake, number, Cancelled("Cancelled by bob.")))
        states.add(outcome.state)
        if outcome.state == "succeeded":
            break
        assert fake.names() == before
    assert "rolled_back" in states


def test_a_pull_that_hangs_is_abandoned_at_once_when_the_call_is_cancelled(fake, quick_checks, monkeypatch):
    monkeypatch.setattr("clusters.engine.lanes.LEAVE_SECONDS", 0.0)
    pulling, over = threading.Event(), threading.Event()

    def hang(method):
        if method == "pull_image":
            pulling.set()
            over.wait(30)

    def check():
        if pulling.is_set():
            raise Cancelled("Cancelled by bob.")

    fake.publish("app:2")
    driver = driver_for("compose")
    planned = driver.plan_redeploy(driver.observe(fake, Target("shop", "compose")), Intent(tag="2"))
    fake.before_request = hang
    try:
        outcome, _ = execute(fake, planned, check)
    finally:
        over.set()
    assert (outcome.state, outcome.message) == ("failed", "Cancelled by bob. Nothing was touched.")


def test_a_worker_that_shuts_down_stops_after_the_current_operation(fake, quick_checks):
    with pytest.raises(HandOver):
        execute(fake, plan(fake), AtRequest(fake, 4, HandOver()))
    assert redeploy(fake, Intent(before=Snapshot())).state == "succeeded"
    assert fake.running() == fake.names() == {"shop-web-1"}


def test_what_a_crashed_container_printed_is_kept_before_it_is_removed(fake):
    fake.add_image("app:1", Cmd=CRASHES)
    planned = plan(fake)

    def print_once(method):
        if method == "start_container" and not any(fake.logs.values()):
            newest = list(fake.containers)[-1]
            fake.logs[newest] = cut_pieces(1, "stderr", b"error: no disk\n")

    fake.before_request = print_once
    outcome, kept = keep(fake, planned)
    assert outcome.state == "rolled_back"
    (evidence,) = kept
    assert (evidence.name, evidence.service, evidence.image) == ("shop-web-1", "web", "app:1")
    assert evidence.cause == "shop-web-1 did not keep running (exit code 1)."
    assert evidence.first_error == "error: no disk"
    assert evidence.image_id != fake.inspect_container("shop-web-1")["Image"]


def test_a_log_that_cannot_be_read_changes_no_outcome(fake):
    fake.add_image("app:1", Cmd=CRASHES)
    planned = plan(fake)
    fail_once(fake, "open_logs", EngineRefused("broken"), times=9)
    outcome, (evidence,) = keep(fake, planned)
    assert (outcome.state, outcome.reason) == ("rolled_back", "exited")
    assert evidence.problem == "the engine reports: broken"

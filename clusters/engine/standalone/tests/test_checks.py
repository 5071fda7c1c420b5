import pytest

from clusters.engine.driver import Intent, Target
from clusters.engine.drivers import driver_for
from clusters.engine.errors import Cancelled
from clusters.engine.fakes.fake_engine import RUNS, SERVES, FakeEngine
from tests.harness.interruption import Countdown, Killed, revive

HELPER = "shop-web-1.windlass-check"
LABELS = {
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": "web",
    "windlass.update.monitor": "0s",
    "windlass.check": "http://:8080/ready",
    "windlass.check.timeout": "20ms",
}
TARGET = Target("shop", "compose")
BOUNDARIES = 25  # more than the plan has


def make_engine(command=SERVES, labels=None, **config):
    engine = FakeEngine()
    engine.add_image("app:1", Env=["VERSION=1"], Cmd=RUNS)
    engine.run("shop-web-1", "app:1", Labels={**LABELS, **(labels or {})}, **config)
    engine.add_image("app:1", Env=["VERSION=2"], Cmd=command)
    return engine


def make_plan(fake):
    driver = driver_for("compose")
    return driver.plan_redeploy(driver.observe(fake, TARGET), Intent(call="call-1"))


def redeploy(fake, check=lambda: None):
    events, evidence = [], []
    report = lambda *event: events.append(event)  # noqa: E731
    outcome = driver_for("compose").execute(fake, make_plan(fake), report, check, lambda *p: None, evidence.append)
    return outcome, events, evidence


def versions(fake):
    return {entry for c in fake.containers.values() for entry in c["Config"]["Env"] if entry.startswith("VERSION=")}


@pytest.mark.parametrize("binds", [[], ["data:/data"]], ids=["start-first", "stop-first"])
def test_the_new_container_is_asked_before_the_old_one_is_removed(binds):
    fake = make_engine(HostConfig={"Binds": binds})
    outcome, events, _ = redeploy(fake)
    assert outcome.state == "succeeded"
    passed = "shop-web-1 passed its check: http://:8080/ready answered 200 OK"
    assert ("info", "check", passed) in events
    removed = next(number for number, (_, word, text) in enumerate(events) if word == "remove" and ".windlass-old." in text)
    assert events.index(("info", "check", passed)) < removed
    assert fake.names() == fake.running() == {"shop-web-1"}


@pytest.mark.parametrize("binds", [[], ["data:/data"]], ids=["start-first", "stop-first"])
def test_a_check_that_does_not_pass_rolls_back_with_address_and_error(binds):
    fake = make_engine(RUNS, HostConfig={"Binds": binds})
    before = fake.inspect_container("shop-web-1")["Id"]
    outcome, _, evidence = redeploy(fake)
    assert (outcome.state, outcome.reason) == ("rolled_back", "check_failed")
    assert outcome.message == (
        "shop-web-1 did not pass its check within 0.02 s: http://:8080/ready did not answer (Connection refused)."
        " The previous container is running again."
    )
    assert fake.names() == fake.running() == {"shop-web-1"}
    assert fake.inspect_container("shop-web-1")["Id"] == before
    assert [item.name for item in evidence] == ["shop-web-1"]


def test_the_helper_may_nothing_and_shares_the_new_containers_network():
    fake = make_engine(RUNS)
    seen = []

    def look(method):
        seen.extend(c for c in fake.containers.values() if c["Name"] == f"/{HELPER}" and c["State"]["Running"])

    fake.before_request = look
    redeploy(fake)
    host_config = seen[0]["HostConfig"]
    assert host_config["NetworkMode"].startswith("container:")
    assert (host_config["CapDrop"], host_config["ReadonlyRootfs"]) == (["ALL"], True)
    assert "PortBindings" not in host_config


def test_it_is_asked_from_the_image_that_a_label_names():
    fake = make_engine(labels={"windlass.check.image": "tools:1"})
    fake.publish("tools:1", Cmd=RUNS)
    lines = make_plan(fake).as_text()
    assert "pull tools:1 if the engine does not have it (the check is asked from it)" in lines
    assert "look whether http://:8080/ready of web can be asked from tools:1" in lines
    outcome, _, _ = redeploy(fake)
    assert outcome.state == "succeeded"
    assert fake.operations.count("pull tools:1") == 1


def test_an_image_with_nothing_to_ask_with_fails_before_anything_is_touched():
    fake = make_engine()

    def break_helper(method):
        for container in fake.containers.values():
            if container["Name"] == f"/{HELPER}" and not container["State"]["Running"]:
                container["Config"].update(Entrypoint=["/bin/not-there"], Cmd=None)

    fake.before_request = break_helper
    outcome, _, _ = redeploy(fake)
    assert (outcome.state, outcome.reason) == ("failed", "check_impossible")
    assert "Name an image with sh, sleep and either bash or nc by the label windlass.check.image." in outcome.message
    assert outcome.message.endswith("Nothing was touched.")
    assert fake.names() == {"shop-web-1"}


def test_containers_that_are_replaced_side_by_side_are_asked_side_by_side():
    fake = make_engine(labels={"windlass.update.parallelism": "2"})
    labels = {**LABELS, "com.docker.compose.container-number": "2", "windlass.update.parallelism": "2"}
    fake.run("shop-web-2", "app:1", Labels=labels)
    outcome, events, _ = redeploy(fake)
    assert outcome.state == "succeeded"
    assert sum("passed its check" in text for _, _, text in events) == 2
    assert fake.names() == fake.running() == {"shop-web-1", "shop-web-2"}


def test_a_cancelled_check_leaves_no_helper():
    fake = make_engine(RUNS, labels={"windlass.check.timeout": "1m"})

    def check():
        if fake.operations.count(f"start {HELPER}") == 2:  # the first one only looks for tools
            raise Cancelled("Cancelled by ann.")

    outcome, _, _ = redeploy(fake, check)
    assert (outcome.state, outcome.reason) == ("rolled_back", "cancelled")
    assert fake.names() == fake.running() == {"shop-web-1"}


@pytest.mark.parametrize("boundary", range(BOUNDARIES))
def test_a_worker_can_die_anywhere_and_no_helper_is_left(boundary):
    fake = make_engine(HostConfig={"Binds": ["data:/data"]})
    fake.before_request = Countdown(boundary)
    try:
        outcome, _, _ = redeploy(fake)
    except Killed:
        revive(fake)
        outcome, _, _ = redeploy(fake)
    assert outcome.state == "succeeded", fake.operations
    assert fake.names() == fake.running() == {"shop-web-1"}
    assert versions(fake) == {"VERSION=2"}

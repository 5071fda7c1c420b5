import pytest

from clusters.engine.driver import Intent, Target
from clusters.engine.drivers import driver_for
from clusters.engine.errors import Cancelled, EngineUnreachable, HandOver, PlanRefused
from clusters.engine.fakes.fake_engine import CANNOT_START, COMPLETES, CRASHES, RUNS, FakeEngine
from clusters.engine.hooks import describe_done
from tests.harness.interruption import Countdown, Killed, revive

STEP = "shop-web-1.windlass-predeploy"
CALL = Intent(call="call-1")
LABELS = {
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": "web",
    "windlass.update.monitor": "0s",
    "traefik.enable": "true",
}
BOUNDARIES = 25  # more than the plan has


def make_engine(command="/bin/true", count=2, labels=None, **config):
    engine = FakeEngine()
    engine.add_network("shop_default", "10.9.8.0/24")
    engine.add_image("app:1", Env=["VERSION=1"])
    for number in range(1, count + 1):
        own = {**LABELS, "com.docker.compose.container-number": str(number), "windlass.predeploy": command, **(labels or {})}
        engine.run(f"shop-web-{number}", "app:1", Labels=own, **config)
    engine.add_image("app:1", Env=["VERSION=2"])
    return engine


def make_plan(fake, intent=CALL, service=""):
    driver = driver_for("compose")
    return driver.plan_redeploy(driver.observe(fake, Target("shop", "compose", service)), intent)


class Redeploy:
    def __init__(self, fake, intent=CALL, check=lambda: None, plan=None):
        self.events, self.evidence = [], []
        plan = plan or make_plan(fake, intent)
        report = lambda *event: self.events.append(event)  # noqa: E731
        self.outcome = driver_for("compose").execute(fake, plan, report, check, lambda *p: None, self.evidence.append)


def count_steps(fake):
    return fake.operations.count(f"create {STEP}")


def versions(fake):
    return {entry for c in fake.containers.values() for entry in c["Config"]["Env"] if entry.startswith("VERSION=")}


def test_the_step_runs_once_with_the_new_image_before_anything_is_touched():
    fake = make_engine()
    done = Redeploy(fake)
    assert done.outcome.state == "succeeded"
    assert fake.operations[:3] == [f"create {STEP}", f"start {STEP}", f"remove {STEP}"]
    assert count_steps(fake) == 1
    assert fake.names() == {"shop-web-1", "shop-web-2"}
    assert ("info", "predeploy", describe_done("web")) in done.events


def test_the_plan_names_the_step_and_masks_its_secrets():
    fake = make_engine("migrate --password=hunter2secret", Env=["DB_PASSWORD=hunter2secret"])
    text = make_plan(fake).as_text()
    line = next(line for line in text.splitlines() if "pre-deploy" in line)
    assert line.startswith("1. run the pre-deploy step of web once, for 300 s at most: migrate --password=")
    assert "hunter2secret" not in text


def test_the_step_is_like_the_service_and_nobody_takes_it_for_the_service():
    fake = make_engine(
        "manage 'migrate now'",
        count=1,
        Env=["DB=db"],
        User="app",
        WorkingDir="/srv",
        Healthcheck={"Test": ["CMD", "/bin/true"]},
        ExposedPorts={"80/tcp": {}},
        HostConfig={
            "NetworkMode": "shop_default",
            "Binds": ["data:/data"],
            "PortBindings": {"80/tcp": [{"HostPort": "8080"}]},
            "RestartPolicy": {"Name": "always", "MaximumRetryCount": 0},
        },
        NetworkingConfig={"EndpointsConfig": {"shop_default": {"Aliases": ["web"], "IPAMConfig": {"IPv4Address": "10.9.8.7"}}}},
    )
    [step] = make_plan(fake).hooks
    body = step.begin[0].config
    assert body["Cmd"] == ["manage", "migrate now"]
    assert (body["Image"], body["Env"], body["User"], body["WorkingDir"]) == ("app:1", ["DB=db"], "app", "/srv")
    assert body["HostConfig"]["Binds"] == ["data:/data"]
    assert (body["HostConfig"]["PortBindings"], body["HostConfig"]["PublishAllPorts"]) == ({}, False)
    assert body["HostConfig"]["RestartPolicy"]["Name"] == "no"
    assert body["Healthcheck"] == {"Test": ["NONE"]}
    assert "ExposedPorts" not in body
    assert body["NetworkingConfig"]["EndpointsConfig"] == {"shop_default": {}}
    assert body["Labels"] == {
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": "web",
        "com.docker.compose.oneoff": "True",
        "windlass.hook": "predeploy",
        "windlass.hook.call": "call-1",
    }


def test_the_entrypoint_stays_unless_a_label_replaces_it():
    [step] = make_plan(make_engine("migrate", labels={"windlass.predeploy.entrypoint": "/bin/sh -c"})).hooks
    assert step.begin[0].config["Entrypoint"] == ["/bin/sh", "-c"]
    [step] = make_plan(make_engine("migrate", Entrypoint=["/entry"])).hooks
    assert step.begin[0].config["Entrypoint"] == ["/entry"]


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (CRASHES[0], "The pre-deploy step of web failed (exit code 1). Nothing was touched."),
        (CANNOT_START[0], "The pre-deploy step of web could not be run: OCI runtime create failed"),
    ],
)
def test_a_step_that_fails_touches_nothing_and_leaves_its_output(command, sentence):
    fake = make_engine(command)
    before = {name: fake.inspect_container(name)["Id"] for name in fake.names()}
    failed = Redeploy(fake)
    assert (failed.outcome.state, failed.outcome.reason) == ("failed", "predeploy_failed")
    assert failed.outcome.message.startswith(sentence)
    assert {name: fake.inspect_container(name)["Id"] for name in fake.names()} == before
    [evidence] = failed.evidence
    assert (evidence.name, evidence.service) == (STEP, "web")


def test_a_step_past_its_deadline_is_stopped_and_removed():
    fake = make_engine(RUNS[0], labels={"windlass.predeploy.timeout": "10ms"})
    failed = Redeploy(fake)
    assert (failed.outcome.state, failed.outcome.reason) == ("failed", "predeploy_timed_out")
    assert "did not end within 0.01 s. Nothing was touched." in failed.outcome.message
    assert [line for line in fake.operations if STEP in line][-2:] == [f"stop {STEP}", f"remove {STEP}"]
    assert fake.running() == {"shop-web-1", "shop-web-2"}


def test_a_cancelled_step_is_stopped_and_removed():
    fake = make_engine(RUNS[0])

    def check():
        if f"start {STEP}" in fake.operations:
            raise Cancelled("Cancelled by ann.")

    cancelled = Redeploy(fake, check=check)
    assert (cancelled.outcome.state, cancelled.outcome.reason) == ("failed", "cancelled")
    assert fake.names() == {"shop-web-1", "shop-web-2"}


def test_a_worker_that_hands_over_leaves_the_step_running_and_the_next_one_waits_for_it():
    fake = make_engine(RUNS[0])

    def check():
        if f"start {STEP}" in fake.operations:
            raise HandOver

    with pytest.raises(HandOver):
        Redeploy(fake, check=check)
    assert STEP in fake.running()
    plan = make_plan(fake)
    assert "wait for the pre-deploy step of web, which an earlier attempt started" in plan.as_text()
    fake.stop_container(STEP)  # it ends with exit code 0
    assert Redeploy(fake, plan=plan).outcome.state == "succeeded"
    assert count_steps(fake) == 1
    assert versions(fake) == {"VERSION=2"}


def test_a_failure_that_no_worker_saw_fails_the_call_without_another_run():
    fake = make_engine(CRASHES[0])
    fake.before_request = Countdown(2)
    with pytest.raises(Killed):
        Redeploy(fake)
    revive(fake)
    failed = Redeploy(fake)
    assert failed.outcome.reason == "predeploy_failed"
    assert count_steps(fake) == 1
    assert fake.names() == {"shop-web-1", "shop-web-2"}


@pytest.mark.parametrize("boundary", range(BOUNDARIES))
def test_a_worker_can_die_anywhere_and_a_step_that_succeeded_is_never_run_again(boundary):
    fake = make_engine()
    events = []

    def attempt():
        done = frozenset(text for level, word, text in events if (level, word) == ("info", "predeploy"))
        plan = make_plan(fake, Intent(call="call-1", predeployed=done))
        return driver_for("compose").execute(fake, plan, lambda *event: events.append(event), lambda: None)

    fake.before_request = Countdown(boundary)
    try:
        outcome = attempt()
    except Killed:
        revive(fake)
        outcome = attempt()
    assert outcome.state == "succeeded", fake.operations
    assert fake.operations.count(f"start {STEP}") == 1
    assert fake.names() == fake.running() == {"shop-web-1", "shop-web-2"}
    assert versions(fake) == {"VERSION=2"}


def die_while_it_runs(fake, intent=CALL):
    def kill(method):
        if method == "inspect_container" and f"start {STEP}" in fake.operations:
            raise Killed(method)

    fake.before_request = kill
    with pytest.raises(Killed):
        Redeploy(fake, intent)
    revive(fake)
    assert STEP in fake.running()


def test_what_another_call_has_left_is_waited_for_and_removed_and_the_step_runs_again():
    fake = make_engine(RUNS[0])
    die_while_it_runs(fake, Intent(call="call-0"))
    text = make_plan(fake).as_text()
    assert text.splitlines()[1].startswith("note")
    assert f"wait for the end of {STEP}" in text
    assert f"remove {STEP} and its anonymous volumes (left by an unfinished redeploy)" in text
    repair = driver_for("compose").plan_repair(driver_for("compose").observe(fake, Target("shop", "compose")))
    assert Redeploy(fake, plan=repair).outcome.state == "succeeded"
    assert fake.names() == {"shop-web-1", "shop-web-2"}


def test_a_delete_removes_it_too():
    fake = make_engine(RUNS[0])
    die_while_it_runs(fake)
    driver = driver_for("compose")
    plan = driver.plan_act(driver.observe_remains(fake, Target("shop", "compose")), "delete")
    assert Redeploy(fake, plan=plan).outcome.state == "succeeded"
    assert fake.names() == set()


def test_a_silent_engine_leaves_the_step_to_the_next_attempt(monkeypatch):
    monkeypatch.setattr("clusters.engine.retry.RETRY_SECONDS", 0)
    fake = make_engine(RUNS[0])

    def refuse(method):
        if method == "inspect_container" and f"start {STEP}" in fake.operations:
            raise EngineUnreachable("gone")

    fake.before_request = refuse
    with pytest.raises(EngineUnreachable):
        Redeploy(fake)
    assert STEP in fake.running()


@pytest.mark.parametrize(
    ("labels", "code", "word"),
    [
        ({"windlass.predeploy": "migrate 'now"}, "predeploy_label", "no closing quotation"),
        ({"windlass.predeploy.timeout": "soon"}, "predeploy_label", "is not a time"),
        ({"windlass.predeploy.timeout": "0"}, "predeploy_label", "is not a time"),
        ({"windlass.check": "https://:8443/"}, "check_label", "http:// or tcp://"),
        ({"windlass.check": "http://:8080/\nHost: x"}, "check_label", "characters"),
        ({"windlass.check": "http://:99999/"}, "check_label", "is not an address"),
        ({"windlass.check": "tcp://db"}, "check_label", "does not name a port"),
        ({"windlass.check": "http://:1/", "windlass.check.timeout": "2h"}, "check_label", "is not a time"),
    ],
)
def test_labels_that_cannot_be_read_are_refused(labels, code, word):
    with pytest.raises(PlanRefused, match=word) as caught:
        make_plan(make_engine(labels=labels))
    assert caught.value.code == code


def test_a_service_that_stays_stopped_has_no_step():
    fake = make_engine(COMPLETES[0], labels={"windlass.update.stopped": "keep"})
    for name in ("shop-web-1", "shop-web-2"):
        fake.stop_container(name)
    text = make_plan(fake).as_text()
    assert "note: the pre-deploy step of web is left out: its containers stay stopped" in text
    assert "run the pre-deploy" not in text


def test_a_lone_container_has_its_step_too_and_what_is_left_of_it_is_found():
    fake = FakeEngine()
    fake.add_image("app:1")
    fake.run("cache", "app:1", Labels={"windlass.predeploy": RUNS[0], "windlass.update.monitor": "0s"})
    driver, target = driver_for("container"), Target("cache", "container")

    def check():
        if "start cache.windlass-predeploy" in fake.operations:
            raise HandOver

    with pytest.raises(HandOver):
        Redeploy(fake, check=check, plan=driver.plan_redeploy(driver.observe(fake, target), CALL))
    [hook] = driver.observe(fake, target).hooks
    assert (hook.service, hook.call, hook.kind) == ("cache", "call-1", "predeploy")
    fake.stop_container(hook.id)
    assert Redeploy(fake, plan=driver.plan_redeploy(driver.observe(fake, target), CALL)).outcome.state == "succeeded"
    assert fake.names() == fake.running() == {"cache"}


def test_steps_of_several_services_run_in_the_order_of_the_plan_before_any_container_is_replaced():
    fake = make_engine(count=1)
    labels = {**LABELS, "com.docker.compose.service": "db", "windlass.predeploy": "/bin/true"}
    fake.run("shop-db-1", "app:1", Labels=labels)
    fake.containers[next(i for i, c in fake.containers.items() if c["Name"] == "/shop-web-1")]["Config"]["Labels"][
        "com.docker.compose.depends_on"
    ] = "db:service_started:false"
    assert Redeploy(fake).outcome.state == "succeeded"
    created = [line for line in fake.operations if line.startswith("create")]
    assert [line.split(" ")[1] for line in created[:2]] == ["shop-db-1.windlass-predeploy", STEP]
    assert all(".windlass-new." in line for line in created[2:])


def test_an_images_label_alone_makes_no_container_a_one_off():
    fake = make_engine(labels={"windlass.hook": "predeploy"})
    observed = driver_for("compose").observe(fake, Target("shop", "compose"))
    assert (len(observed.containers), observed.hooks) == (2, ())

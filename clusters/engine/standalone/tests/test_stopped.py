"""What a redeploy does with containers that do not run, and what its sentence says of them."""

import re

import pytest

from clusters.engine.driver import Intent, Target
from clusters.engine.drivers import driver_for
from clusters.engine.errors import Cancelled
from clusters.engine.fakes.fake_engine import CANNOT_START, COMPLETES, CRASHES, RUNS, FakeEngine
from clusters.engine.snapshot import ContainerSnapshot

ALWAYS = {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}}
NEEDS_MIGRATE = {"com.docker.compose.depends_on": "migrate:service_completed_successfully:false"}


def labels(service, number=1, **more):
    return {
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": service,
        "com.docker.compose.container-number": str(number),
        "windlass.update.monitor": "0s",
        **more,
    }


@pytest.fixture
def fake():
    engine = FakeEngine()
    engine.add_image("app:1", Env=["VERSION=1"])
    return engine


def add(fake, service="web", number=1, code=None, more=None, image="app:1", **config):
    """Add a container; with `code`, it has ended with that exit code."""
    name = f"shop-{service}-{number}"
    fake.run(name, image, Labels=labels(service, number, **(more or {})), **config)
    if code is not None:
        end(fake, name, code)
    return name


def end(fake, name, code, **state):
    found = fake._find(name)
    found["State"].update(Status="exited", Running=False, Restarting=False, ExitCode=code, **state)


def redeploy(fake, intent=None, check=lambda: None, service=""):
    driver = driver_for("compose")
    events = []
    plan = driver.plan_redeploy(driver.observe(fake, Target("shop", "compose", service)), intent or Intent())
    outcome = driver.execute(fake, plan, lambda *event: events.append(event), check)
    return outcome, events


def state(fake, name):
    return fake.inspect_container(name)["State"]["Status"]


def version(fake, name):
    return [entry for entry in fake.inspect_container(name)["Config"]["Env"] if entry.startswith("VERSION=")]


@pytest.mark.parametrize(
    "state_words",
    [
        {"Status": "exited", "ExitCode": 3},
        {"Status": "exited", "ExitCode": 137},
        {"Status": "exited", "ExitCode": 0, "OOMKilled": True},
        {"Status": "exited", "ExitCode": 127, "Error": "exec failed"},
        {"Status": "dead", "ExitCode": 0, "Dead": True},
        {"Status": "created", "ExitCode": 0},
    ],
)
@pytest.mark.parametrize("host_config", [{}, ALWAYS])
def test_what_crashed_or_never_ran_is_started(fake, state_words, host_config):
    web = add(fake, HostConfig=host_config)
    fake._find(web)["State"].update(Running=False, **state_words)
    new = fake.add_image("app:1", Env=["VERSION=2"])
    outcome, _ = redeploy(fake)
    assert outcome.state == "succeeded"
    assert outcome.message == f"1 container of shop now runs {new[:19]} (app:1)."
    assert (state(fake, web), version(fake, web), fake.names()) == ("running", ["VERSION=2"], {web})


def test_a_restart_policy_that_would_start_it_again_makes_an_end_with_success_a_stop(fake):
    web = add(fake, code=0, HostConfig=ALWAYS)
    worker = add(fake, "worker", code=0, HostConfig={"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}})
    assert redeploy(fake)[0].state == "succeeded"
    assert fake.running() == {web, worker}


def test_a_one_shot_that_ended_with_success_stays_and_the_answer_says_so(fake):
    web, job = add(fake), add(fake, "job", code=0)
    fake.add_image("app:1", Env=["VERSION=2"])
    outcome, _ = redeploy(fake)
    assert outcome.state == "succeeded"
    assert outcome.message.startswith("1 container of shop now runs ")
    assert outcome.message.endswith("shop-job-1 was replaced and stays stopped: it completed its work (exit code 0).")
    assert (fake.running(), version(fake, job)) == ({web}, ["VERSION=2"])


@pytest.mark.parametrize(("label", "starts"), [("keep", False), ("start", True)])
def test_a_label_decides(fake, label, starts):
    more = {"windlass.update.stopped": label}
    crashed, job = add(fake, code=3, more=more), add(fake, "job", code=0, more=more)
    outcome, _ = redeploy(fake)
    assert fake.running() == ({crashed, job} if starts else set())
    if not starts:
        assert outcome.message == (
            "2 containers of shop were replaced; none of them runs. "
            "shop-job-1, shop-web-1 were replaced and stay stopped, each for this reason: its label says so."
        )


def left(fake, *names):
    found = {name: fake.inspect_container(name) for name in names}
    return {
        name: ContainerSnapshot(name, details["Id"], state="exited", started_at=details["State"]["StartedAt"])
        for name, details in found.items()
    }


def test_what_was_stopped_in_windlass_stays_through_any_number_of_redeploys_until_something_starts_it(fake):
    web, worker = add(fake), add(fake, "worker", code=137)
    stopped = Intent(stopped=left(fake, worker))
    for _ in range(2):
        outcome, _ = redeploy(fake, stopped)
        assert outcome.message.endswith("stays stopped: it was stopped in Windlass, where it can be started.")
        assert fake.running() == {web}
    fake.start_container(worker)
    end(fake, worker, 3)
    redeploy(fake, stopped)
    assert fake.running() == {web, worker}


def test_a_container_that_was_started_after_the_stop_and_crashed_is_started(fake):
    web = add(fake, code=137)
    stopped = Intent(stopped=left(fake, web))
    fake.start_container(web)
    end(fake, web, 3)
    redeploy(fake, stopped)
    assert fake.running() == {web}


def test_where_nothing_ran_before_a_failure_leaves_it_stopped_and_says_so(fake):
    web = add(fake, code=3, HostConfig=ALWAYS)
    before = fake.inspect_container(web)
    fake.add_image("app:1", Env=["VERSION=2"], Cmd=CRASHES)
    outcome, _ = redeploy(fake)
    assert (outcome.state, outcome.reason) == ("rolled_back", "restarting")
    assert outcome.message.endswith("The previous container is stopped, as before.")
    assert fake.inspect_container(web) == before
    assert fake.names() == {web}


def test_a_crashed_one_shot_may_end_with_success(fake):
    job = add(fake, "job", code=1)
    fake.add_image("app:1", Env=["VERSION=2"], Cmd=COMPLETES)
    outcome, _ = redeploy(fake)
    assert outcome.state == "succeeded"
    assert outcome.message == (
        "1 container of shop was replaced; it does not run. shop-job-1 completed its work and exited (exit code 0)."
    )
    assert state(fake, job) == "exited"


def test_a_running_container_must_not_end(fake):
    add(fake)
    fake.add_image("app:1", Env=["VERSION=2"], Cmd=COMPLETES)
    assert redeploy(fake)[0].state == "rolled_back"


def test_what_shares_the_namespace_of_one_that_stays_stopped_stays_too(fake):
    web = add(fake, code=3, more={"windlass.update.stopped": "keep"})
    parent = fake.inspect_container(web)["Id"]
    fake.run("shop-agent-1", "app:1", start=False, Labels=labels("agent"), HostConfig={"NetworkMode": f"container:{parent}"})
    outcome, _ = redeploy(fake)
    assert outcome.state == "succeeded"
    assert "shop-agent-1 was replaced and stays stopped: so does the container whose namespace it shares." in outcome.message
    assert fake.running() == set()


# One-shots that others wait for


class TestAwaitedOneShot:
    @pytest.fixture
    def shop(self, fake):
        fake.add_image("migrate:1", Env=["VERSION=1"], Cmd=COMPLETES)
        self.migrate = add(fake, "migrate", image="migrate:1")
        self.web = add(fake, more=NEEDS_MIGRATE)
        assert fake.running() == {self.web}
        return fake

    def test_it_runs_to_its_end_before_the_others_are_touched(self, shop):
        shop.add_image("migrate:1", Env=["VERSION=2"], Cmd=COMPLETES)
        shop.add_image("app:1", Env=["VERSION=2"])
        outcome, events = redeploy(shop)
        assert outcome.state == "succeeded"
        assert "shop-migrate-1 completed its work and exited (exit code 0)." in outcome.message
        assert version(shop, self.migrate) == version(shop, self.web) == ["VERSION=2"]
        assert shop.inspect_container(self.migrate)["State"]["FinishedAt"][:4] == "2026"
        operations = [line.split(".")[0] for line in shop.operations]
        assert operations.index("start shop-migrate-1") < operations.index("create shop-web-1")

    def test_a_failing_one_ends_the_call_with_everything_as_it_was(self, shop):
        before = {name: shop.inspect_container(name) for name in shop.names()}
        shop.add_image("migrate:1", Env=["VERSION=2"], Cmd=CRASHES)
        shop.add_image("app:1", Env=["VERSION=2"])
        outcome, _ = redeploy(shop)
        assert (outcome.state, outcome.reason) == ("rolled_back", "exited")
        assert outcome.message == (
            "shop-migrate-1 did not complete its work (exit code 1). The previous container is stopped, as before."
        )
        assert {name: shop.inspect_container(name) for name in shop.names()} == before

    def test_it_is_restored_when_those_that_wait_for_it_fail(self, shop):
        old = shop.inspect_container(self.migrate)["Id"]
        shop.add_image("app:1", Env=["VERSION=2"], Cmd=CRASHES)
        outcome, _ = redeploy(shop)
        assert outcome.state == "rolled_back"
        assert outcome.message.endswith("Of the 2 previous containers, 1 is running and 1 is stopped.")
        assert shop.inspect_container(self.migrate)["Id"] == old
        assert (shop.names(), shop.running()) == ({self.migrate, self.web}, {self.web})

    def test_it_is_not_run_for_containers_that_stay_stopped(self, shop):
        shop.stop_container(self.web)
        outcome, _ = redeploy(shop, Intent(stopped=left(shop, self.web, self.migrate)))
        assert outcome.state == "succeeded"
        assert state(shop, self.migrate) == "created"

    def test_a_chain_of_them_runs_in_order(self, shop):
        seed = add(shop, "seed", image="migrate:1")
        shop._find(self.migrate)["Config"]["Labels"]["com.docker.compose.depends_on"] = (
            "seed:service_completed_successfully:false"
        )
        assert redeploy(shop)[0].state == "succeeded"
        started = [line.split(".")[0] for line in shop.operations if line.startswith("start ")]
        assert started == [f"start {seed}", f"start {self.migrate}", f"start {self.web}"]

    def test_a_long_one_is_waited_for_and_the_call_says_so(self, shop):
        """It is restarted by its policy while it fails, and it is not judged before it ends."""
        found = shop._find(self.migrate)
        found["HostConfig"]["RestartPolicy"] = {"Name": "on-failure", "MaximumRetryCount": 3}
        shop.add_image("migrate:1", Env=["VERSION=2"], Cmd=RUNS)
        looks = []

        def look(method):
            new = [c for c in shop.containers.values() if "windlass-new" in c["Name"] and "migrate" in c["Name"]]
            looks.append(method)
            if new and method == "inspect_container" and looks.count(method) > 8:
                end(shop, new[0]["Name"][1:], 0)

        shop.before_request = look
        outcome, events = redeploy(shop)
        assert outcome.state == "succeeded"
        assert ("info", "wait", "Waiting for the end of shop-migrate-1: others need its success.") in events

    @pytest.fixture
    def half_done(self, shop):
        """A worker was lost while the new migration ran."""
        shop.add_image("migrate:1", Env=["VERSION=2"], Cmd=RUNS)
        old = shop.inspect_container(self.migrate)["Id"][:12]
        name = f"{self.migrate}.windlass-new.{old}.s"
        shop.run(name, "migrate:1", Labels=labels("migrate"))
        shop.add_image("migrate:1", Env=["VERSION=2"], Cmd=COMPLETES)
        return name

    def test_one_that_a_lost_worker_started_is_not_stopped_before_its_end(self, shop, half_done):
        looks = []

        def end_late(method):
            looks.append(method)
            if looks.count("inspect_container") == 12 and half_done in shop.running():
                end(shop, half_done, 0)
                looks.append("ended")

        shop.before_request = end_late
        outcome, events = redeploy(shop)
        assert outcome.state == "succeeded"
        assert looks.index("ended") < looks.index("stop_container")
        assert ("info", "wait", f"Waiting for the end of {self.migrate}: others need its success.") in events
        assert (shop.names(), shop.running()) == ({self.migrate, self.web}, {self.web})

    def test_a_cancelled_call_does_not_wait_for_it(self, shop, half_done, monkeypatch):
        monkeypatch.setattr("clusters.engine.lanes.BEAT_SECONDS", 0.01)

        def check():
            raise Cancelled("Cancelled by bob.")

        outcome, _ = redeploy(shop, check=check)
        assert (outcome.state, outcome.reason) == ("failed", "cancelled")
        assert (shop.names(), shop.running()) == ({self.migrate, self.web}, {self.web})


# Every number in a message is the engine's


MIXTURES = {
    "all run": [("web", 1, None, {}), ("web", 2, None, {})],
    "one crashed": [("web", 1, None, {}), ("web", 2, 3, {})],
    "one is kept": [("web", 1, None, {}), ("web", 2, 3, {"windlass.update.stopped": "keep"})],
    "one-shot and kept": [("job", 1, 0, {}), ("web", 1, 1, {}), ("worker", 1, 1, {"windlass.update.stopped": "keep"})],
    "all down": [("web", 1, 1, {}), ("web", 2, 137, {}), ("worker", 1, 2, {})],
    "nothing starts": [("job", 1, 0, {}), ("web", 1, 3, {"windlass.update.stopped": "keep"})],
}


def numbers_of(message):
    """Return how many run, are stopped, and were replaced, as far as the message says so."""
    found = {}
    if counted := re.match(r"(\d+) containers? of \S+ (now run|were replaced and run)", message):
        found["running"] = int(counted[1])
    elif counted := re.match(r"(\d+) containers? of \S+ (?:was|were) replaced; (?:it does not run|none of them runs)", message):
        found["replaced"], found["running"] = int(counted[1]), 0
    if counted := re.search(r"now runs (\d+) containers?\.", message):
        found["running"] = int(counted[1])
    for number, word in re.findall(r"(\d+) (?:is|are) (running|stopped|restarting)", message):
        found[word] = int(number)
    whole = re.search(r"The previous containers? (?:is|are) (running|stopped|restarting)", message)
    if whole:
        found[whole[1]] = "all"
    found["named"] = set(re.findall(r"shop-\w+-\d+(?=[^.]*(?:stays? stopped|stay stopped))", message))
    return found


@pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES.keys())
@pytest.mark.parametrize("build", ["good", "bad", "cannot start"])
def test_each_number_of_a_message_is_the_engines(fake, mixture, build):
    for service, number, code, more in mixture:
        add(fake, service, number, code=code, more=more)
    before = {name: state(fake, name) for name in fake.names()}
    command = {"good": RUNS, "bad": CRASHES, "cannot start": CANNOT_START}[build]
    fake.add_image("app:1", Env=["VERSION=2"], Cmd=command)
    outcome, _ = redeploy(fake)
    now = {name: state(fake, name) for name in fake.names()}
    said = numbers_of(outcome.message)
    if outcome.state == "succeeded":
        assert said["running"] == len(fake.running()), outcome.message
        assert said["named"] == {name for name in now if now[name] != "running"}, outcome.message
        assert said.get("replaced", len(mixture)) == len(mixture)
    else:
        assert now == before, outcome.message
        begun = {line.removeprefix("create ").split(".")[0] for line in fake.operations if line.startswith("create ")}
        running, stopped = len(begun & fake.running()), len(begun - fake.running())
        expected = (
            {"running": running, "stopped": stopped} if running and stopped else {"running" if running else "stopped": "all"}
        )
        assert {word: number for word, number in said.items() if word != "named"} == expected, outcome.message


@pytest.mark.parametrize("wanted", [1, 2, 4])
@pytest.mark.parametrize("bad", [False, True])
def test_a_scalings_numbers_are_the_engines(fake, wanted, bad):
    for number in (1, 2, 3):
        add(fake, number=number)
    end(fake, "shop-web-3", 3)
    if bad:
        for container in fake.containers.values():
            container["Config"]["Cmd"] = CRASHES
    driver = driver_for("compose")
    plan = driver.plan_scale(driver.observe(fake, Target("shop", "compose", "web")), "web", wanted)
    outcome = driver.execute(fake, plan, lambda *event: None, lambda: None) if not plan.is_empty() else None
    if outcome:
        assert numbers_of(outcome.message)["running"] == len(fake.running()), outcome.message


def test_a_scaling_whose_other_containers_are_stopped_meanwhile_is_not_rolled_back_but_failed(fake):
    web = add(fake)
    fake._find(web)["Config"]["Cmd"] = CRASHES

    def stop_others(method):
        if method == "list_containers" and "start shop-web-2" in fake.operations:
            end(fake, web, 0)

    driver = driver_for("compose")
    plan = driver.plan_scale(driver.observe(fake, Target("shop", "compose", "web")), "web", 2)
    fake.before_request = stop_others
    outcome = driver.execute(fake, plan, lambda *event: None, lambda: None)
    assert outcome.state == "failed"
    assert outcome.message.endswith("The added containers were removed; shop/web now runs 0 containers.")


def test_a_container_that_ends_after_its_watch_is_no_success(fake):
    """The first is healthy and ends while the second is watched."""
    first, second = add(fake, number=1), add(fake, number=2)
    before = {name: fake.inspect_container(name)["Id"] for name in (first, second)}

    def end_the_first(method):
        renamed = [c for c in fake.containers.values() if c["Name"] == f"/{first}" and c["Id"] != before[first]]
        if renamed and method == "start_container":
            end(fake, first, 5)

    fake.before_request = end_the_first
    outcome, _ = redeploy(fake)
    fake.before_request = lambda method: None
    assert (outcome.state, outcome.reason) == ("rolled_back", "exited")
    assert outcome.message.startswith(f"{first} was healthy, and then it ended: Exited (5)")
    assert {name: fake.inspect_container(name)["Id"] for name in (first, second)} == before
    assert fake.running() == {first, second}


def test_a_rollback_after_which_the_previous_container_does_not_run_is_a_failure(fake):
    """Somebody else stops it right after it was started again."""
    web = add(fake, HostConfig={"Binds": ["data:/data"]})
    fake.add_image("app:1", Env=["VERSION=2"], Cmd=CRASHES)

    def stop_again(method):
        if method == "list_containers" and f"start {web}" in fake.operations:
            end(fake, web, 0)

    fake.before_request = stop_again
    outcome, _ = redeploy(fake)
    assert outcome.state == "failed"
    assert outcome.message.endswith("The previous container is stopped. It ran before.")


def test_a_cancelled_redeploy_of_a_stopped_application_leaves_it_stopped(fake):
    web = add(fake, code=3)

    def check():
        if any(line.startswith("start ") for line in fake.operations):
            raise Cancelled("Cancelled by bob.")

    fake._find(web)["Config"]["Labels"]["windlass.update.monitor"] = "1h"
    outcome, _ = redeploy(fake, check=check)
    assert outcome.message == "Cancelled by bob. The previous container is stopped, as before."
    assert (fake.names(), fake.running()) == ({web}, set())

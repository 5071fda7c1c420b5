"""Compose works at the application at the same moment, or has left it half-way: names such as `0123456789ab_shop-web-1`."""

import itertools

import pytest

from clusters.engine.driver import Target
from clusters.engine.drivers import driver_for
from clusters.engine.errors import EngineError, PlanRefused, TargetMissing
from clusters.engine.fakes.fake_engine import CRASHES, FakeEngine
from clusters.engine.inspection.listing import observe_engine

NAME = "shop-web-1"


def labels(number=1):
    return {
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": "web",
        "com.docker.compose.container-number": str(number),
        "windlass.update.monitor": "0s",
    }


@pytest.fixture
def fake():
    return make_engine()


def make_engine():
    engine = FakeEngine()
    engine.add_image("app:1", Env=["VERSION=1"])
    return engine


def redeploy(fake):
    driver = driver_for("compose")
    plan = driver.plan_redeploy(driver.observe(fake, Target("shop", "compose")))
    return driver.execute(fake, plan, lambda *event: None, lambda: None)


def half_way(fake, name=NAME):
    """Rename the container as Compose 1.29 does before it creates the new one."""
    container = fake._find(name)
    container["Name"] = f"/{container['Id'][:12]}_{name}"
    return container["Id"]


def count_in_inventory(fake):
    (application,) = observe_engine(fake).applications
    return application.wanted, {container.name for container in application.containers}


@pytest.mark.parametrize("is_running", [True, False])
def test_a_container_that_compose_renamed_gets_its_name_with_the_next_redeploy(fake, is_running):
    fake.run(NAME, "app:1", Labels=labels(), start=is_running)
    half_way(fake)
    assert count_in_inventory(fake) == (1, {NAME})
    assert redeploy(fake).state == "succeeded"
    assert fake.names() == fake.running() == {NAME}


def test_a_pair_is_one_container_and_the_one_that_runs_is_kept(fake):
    fake.run(NAME, "app:1", Labels=labels())
    old = half_way(fake)
    fake.run(NAME, "app:1", Labels=labels(), start=False)
    assert count_in_inventory(fake) == (1, {NAME})
    fake.add_image("app:1", Env=["VERSION=2"], Cmd=CRASHES)
    outcome = redeploy(fake)
    assert outcome.state == "rolled_back"
    assert fake.names() == fake.running() == {NAME}
    assert fake.inspect_container(NAME)["Id"] == old


def test_compose_2_creates_the_new_one_under_such_a_name(fake):
    old = fake.run(NAME, "app:1", Labels=labels())
    fake.run(f"{old[:12]}_{NAME}", "app:1", Labels=labels(), start=False)
    assert redeploy(fake).state == "succeeded"
    assert fake.names() == fake.running() == {NAME}


def test_a_scaling_counts_a_pair_as_one(fake):
    fake.run(NAME, "app:1", Labels=labels())
    half_way(fake)
    fake.run(NAME, "app:1", Labels=labels(), start=False)
    driver = driver_for("compose")
    observation = driver.observe(fake, Target("shop", "compose", "web"))
    assert observation.current_count("web") == 1
    outcome = driver.execute(fake, driver.plan_scale(observation, "web", 2), lambda *event: None, lambda: None)
    assert outcome.message == "shop/web now runs 2 containers."
    assert fake.names() == fake.running() == {NAME, "shop-web-2"}


def test_other_names_with_twelve_digits_are_left_alone(fake):
    fake.run("0123456789ab_web", "app:1", Labels={"windlass.update.monitor": "0s"})
    project = {**labels(), "com.docker.compose.project": "0123456789ab"}
    fake.run("0123456789ab_web_1", "app:1", Labels=project)
    found = {(app.source, app.name): [c.name for c in app.containers] for app in observe_engine(fake).applications}
    assert found == {
        ("container", "0123456789ab_web"): ["0123456789ab_web"],
        ("compose", "0123456789ab"): ["0123456789ab_web_1"],
    }


# At the same moment


def test_what_somebody_started_under_a_temporary_name_is_removed_all_the_same(fake):
    fake.run(NAME, "app:1", Labels=labels())
    fake.add_image("app:1", Env=["VERSION=2"])

    def start_the_parked(method):
        if method == "remove_container" and not starts:
            starts.append(next(c for c in fake.containers.values() if "windlass-old" in c["Name"]))
            fake._start(starts[0])

    starts = []
    fake.before_request = start_the_parked
    assert redeploy(fake).state == "succeeded"
    assert starts
    assert fake.names() == fake.running() == {NAME}


class Compose:
    """Does what Compose 1.29's `up -d` does to a service with one container, in the same requests, one at a time."""

    def __init__(self, fake):
        self.fake = fake

    def containers(self):
        return sorted(
            (c for c in self.fake.containers.values() if c["Config"]["Labels"].get("com.docker.compose.project") == "shop"),
            key=lambda c: (int(c["Config"]["Labels"]["com.docker.compose.container-number"]), c["Created"]),
        )

    def up(self):
        """Yield after each request."""
        found = self.containers()
        for surplus in found[1:]:
            self.fake._end(surplus, 0)
            yield
            self.remove(surplus)
            yield
        if not found:
            self.fake._start(self.fake._create(NAME, {"Image": "app:1", "Labels": labels()}))
            return
        kept = found[0]
        newest = self.fake._find_image("app:1")["Id"]
        if kept["Image"] == newest:
            if not kept["State"]["Running"]:
                self.fake._start(kept)
            return
        self.fake._end(kept, 0)
        yield
        if kept["Id"] in self.fake.containers:
            kept["Name"] = f"/{kept['Id'][:12]}_{kept['Name'][1:]}"
        yield
        new = self.fake._create(NAME, {"Image": "app:1", "Labels": labels()})
        yield
        if new["Id"] in self.fake.containers:
            self.fake._start(new)
        yield
        self.remove(kept)

    def remove(self, container):
        if container["Id"] in self.fake.containers and not container["State"]["Running"]:
            self.fake._remove(container, volumes=False)

    def finish(self):
        for _ in self.up():
            pass


def arrange():
    fake = make_engine()
    fake.run(NAME, "app:1", Labels=labels())
    fake.add_image("app:1", Env=["VERSION=2"])
    return fake


def temporary_names(fake):
    return {name for name in fake.names() if "windlass" in name}


@pytest.mark.parametrize("pause", [0, 1, 2])
def test_a_call_ends_truthfully_wherever_compose_comes_in_between(pause):
    """Compose begins before each request of the call, and takes one step at every request, or at every second or third."""
    states = []
    for begin in range(60):
        fake = arrange()
        steps, requests, last_look = Compose(fake).up(), itertools.count(), {}

        def work(method, fake=fake, steps=steps, requests=requests, begin=begin, last_look=last_look):
            number = next(requests)
            if number >= begin and (number - begin) % (pause + 1) == 0:
                try:
                    next(steps, None)
                except EngineError:  # Compose's own failure, such as a name that is taken
                    steps.close()
            if method == "list_containers":
                last_look["running"] = len(fake.running())

        fake.before_request = work
        try:
            outcome = redeploy(fake)
        except (PlanRefused, TargetMissing):
            states.append("refused")
        else:
            states.append(outcome.state)
            assert outcome.state == "failed" or last_look["running"] > 0 or "does not run" in outcome.message, (begin, outcome)
            assert ("running again" in outcome.message) <= (last_look["running"] > 0), (begin, outcome)
            if outcome.state == "succeeded":
                assert ("now runs" in outcome.message) == (last_look["running"] > 0), (begin, outcome.message)
            fake.before_request = lambda method: None
            assert not temporary_names(fake), (begin, outcome, fake.operations)
        fake.before_request = lambda method: None
        for _ in range(20):
            try:
                next(steps, None)
            except EngineError:
                break
        Compose(fake).finish()
        assert redeploy(fake).state == "succeeded", begin
        assert fake.names() == fake.running() == {NAME}, (begin, fake.operations)
        assert "VERSION=2" in fake.inspect_container(NAME)["Config"]["Env"], begin
        if next(requests) < begin:
            break
    assert "succeeded" in states

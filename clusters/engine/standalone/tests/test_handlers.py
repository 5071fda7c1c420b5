import pytest

from clusters.engine.driver import Intent, Target
from clusters.engine.drivers import driver_for
from clusters.engine.errors import EngineRefused
from clusters.engine.fakes.fake_engine import FakeEngine
from clusters.engine.standalone.health import Watched, describe_watched


@pytest.mark.parametrize(
    ("ended", "text"),
    [
        ([False], "web-1 is healthy"),
        ([False, False], "web-1, web-2 are healthy"),
        ([True], "web-1 completed"),
        ([False, True], "web-1 is healthy; web-2 completed"),
    ],
)
def test_a_watch_reports_which_containers_are_healthy_and_which_completed(ended, text):
    watched = [Watched("abc", f"web-{number}", has_ended=has_ended) for number, has_ended in enumerate(ended, 1)]
    assert describe_watched(watched) == text


def test_a_pull_reports_whether_the_image_is_newer_or_unchanged():
    engine = FakeEngine()
    engine.publish("app:1", Env=["VERSION=1"])
    engine.pull_image("app:1")
    engine.run("shop-web-1", "app:1", Labels={"com.docker.compose.project": "shop", "windlass.update.monitor": "0s"})
    driver, news = driver_for("compose"), []

    def report(level, operation, text):
        news.extend([text.split(": ")[0]] if operation == "pull" else [])

    for publish in (True, False):
        if publish:
            engine.publish("app:1", Env=["VERSION=2"])
        plan = driver.plan_redeploy(driver.observe(engine, Target("shop", "compose")), Intent())
        assert driver.execute(engine, plan, report, lambda: None).state == "succeeded"
    assert news == ["pull app:1", "app:1 is newer", "pull app:1", "app:1 is unchanged"]


class Podman(FakeEngine):
    """Refuses to remove a container while another one shares its network, and to start a new one for `broken`."""

    broken = ""
    known = frozenset()  # ids of the containers that can be started all the same
    restarts = 0  # removals that find the container running again
    late = 0  # removals that are refused although no other container is there any longer

    def __init__(self):
        super().__init__()
        self.refused = []

    def start_container(self, container):
        found = self._find(container)
        if self.broken and found["Name"].startswith(f"/{self.broken}") and found["Id"] not in self.known:
            raise EngineRefused("it cannot be started")
        super().start_container(container)

    def remove_container(self, container, force=False, volumes=False):
        found = self._find(container)
        if self.restarts:
            self.restarts -= 1
            raise EngineRefused("it is running: container state improper", code="conflict")
        self.late -= 1
        if self.late >= 0 or any(
            other["HostConfig"]["NetworkMode"] == f"container:{found['Id']}" for other in self.containers.values()
        ):
            self.refused.append(found["Name"])
            raise EngineRefused("it has dependent containers which must be removed before it", code="has_dependents")
        super().remove_container(container, force, volumes)


@pytest.mark.parametrize(("broken", "state"), [("", "succeeded"), ("app", "rolled_back")])
def test_a_container_is_removed_after_those_that_share_its_network(broken, state):
    engine, driver = Podman(), driver_for("container")
    engine.add_image("app:1", Cmd=["serve"])
    labels = {"windlass.update.monitor": "0s"}
    vpn = engine.run("vpn", "app:1", Labels=labels)
    engine.run("app", "app:1", Labels=labels, HostConfig={"NetworkMode": f"container:{vpn}"})
    engine.broken, engine.known = broken, frozenset(engine.containers)
    plan = driver.plan_redeploy(driver.observe(engine, Target("vpn", "container")), Intent())
    outcome = driver.execute(engine, plan, lambda *event: None, lambda: None)
    assert outcome.state == state, outcome
    assert engine.names() == engine.running() == {"vpn", "app"}
    assert engine.refused, "each could be removed at once"


def test_a_removal_is_tried_again_at_once_because_another_lane_may_have_removed_the_last_dependant():
    engine, driver = Podman(), driver_for("container")
    engine.add_image("app:1", Cmd=["serve"])
    engine.run("vpn", "app:1", Labels={"windlass.update.monitor": "0s"})
    engine.late = 1
    plan = driver.plan_redeploy(driver.observe(engine, Target("vpn", "container")), Intent())
    assert driver.execute(engine, plan, lambda *event: None, lambda: None).state == "succeeded"
    assert (engine.names(), len(engine.refused)) == ({"vpn"}, 1)


def test_a_new_container_that_podman_restarts_while_it_is_stopped_is_removed_by_a_rollback():
    engine, driver = Podman(), driver_for("container")
    engine.libpod_version = "4.3.1"
    engine.add_image("app:1", Cmd=["serve"])
    engine.run("web", "app:1", Labels={"windlass.update.monitor": "0s"})
    plan = driver.plan_redeploy(driver.observe(engine, Target("web", "container")), Intent())
    engine.broken, engine.known, engine.restarts = "web", frozenset(engine.containers), 3
    assert driver.execute(engine, plan, lambda *event: None, lambda: None).state == "rolled_back"
    assert engine.names() == engine.running() == {"web"}
    assert engine.restarts == 0

import pytest

from clusters.engine.driver import Intent, Target
from clusters.engine.drivers import driver_for
from clusters.engine.errors import EngineRefused
from clusters.engine.fakes.fake_engine import FakeEngine
from clusters.engine.standalone.handlers import describe_watched
from clusters.engine.standalone.health import Watched


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
    """Refuses to remove a container while another one shares its network, and to start what is called `broken…`."""

    broken = ""

    def __init__(self):
        super().__init__()
        self.refused = []

    def start_container(self, container):
        if self.broken and self._find(container)["Name"].startswith(self.broken):
            raise EngineRefused("it cannot be started")
        super().start_container(container)

    def remove_container(self, container, force=False, volumes=False):
        found = self._find(container)
        if any(other["HostConfig"]["NetworkMode"] == f"container:{found['Id']}" for other in self.containers.values()):
            self.refused.append(found["Name"])
            raise EngineRefused("it has dependent containers which must be removed before it", code="has_dependents")
        super().remove_container(container, force, volumes)


@pytest.mark.parametrize(("broken", "state"), [("", "succeeded"), ("/app.windlass-new", "rolled_back")])
def test_a_container_is_removed_after_those_that_share_its_network(broken, state):
    engine, driver = Podman(), driver_for("container")
    engine.add_image("app:1", Cmd=["serve"])
    labels = {"windlass.update.monitor": "0s"}
    vpn = engine.run("vpn", "app:1", Labels=labels)
    engine.run("app", "app:1", Labels=labels, HostConfig={"NetworkMode": f"container:{vpn}"})
    engine.broken = broken
    plan = driver.plan_redeploy(driver.observe(engine, Target("vpn", "container")), Intent())
    outcome = driver.execute(engine, plan, lambda *event: None, lambda: None)
    assert outcome.state == state, outcome
    assert engine.names() == engine.running() == {"vpn", "app"}
    assert engine.refused, "each could be removed at once"

"""What was left for a previous image, over real plans on an engine in memory."""

import time
from types import SimpleNamespace

import pytest
from django.utils import timezone

from clusters.engine.fakes.fake_engine import CRASHES, FakeEngine
from clusters.engine.inspection.listing import observe_engine
from clusters.inventory import store_observation
from clusters.models import Application
from clusters.tests.factories import ApplicationFactory
from triggers.calls.accept import accept_call
from triggers.calls.requests import CallRequest
from triggers.images.history import list_image_calls, read_histories
from triggers.images.left import read_left_images
from triggers.images.previous import find_returns, find_returns_of_call
from triggers.models import CallState, TriggerCall
from triggers.run import runner
from triggers.run.tests.test_runner_swarm import run

pytestmark = pytest.mark.django_db
REFERENCE = "registry.example/app:1"


class Shop:
    """A project with one service, which is redeployed with one version after the other."""

    def __init__(self, monkeypatch):
        self.fake = FakeEngine()
        monkeypatch.setattr(runner, "EngineClient", lambda endpoint, credentials: self.fake)
        monkeypatch.setattr(runner, "time", SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: None))
        self.versions = {"1": self.publish("1")}
        self.fake.pull_image(REFERENCE)
        labels = {
            "com.docker.compose.project": "shop",
            "com.docker.compose.service": "web",
            "com.docker.compose.container-number": "1",
            "windlass.update.monitor": "0s",
        }
        self.fake.run("shop-web-1", REFERENCE, Labels=labels)
        self.application = ApplicationFactory(name="shop", source=Application.Source.COMPOSE)
        self.observe()

    def publish(self, version, **config):
        label = {"org.opencontainers.image.version": version}
        return self.fake.publish(REFERENCE, Labels=label, **config)

    def observe(self):
        store_observation(self.application.cluster, observe_engine(self.fake), timezone.now())
        self.application.refresh_from_db()

    def redeploy(self, returns_to=None):
        request = CallRequest(
            action="redeploy", source=TriggerCall.Source.CONSOLE, application_id=self.application.pk, returns_to=returns_to
        )
        call = run(accept_call(request))
        self.observe()
        return call

    def deploy(self, version, **config):
        self.versions[version] = self.publish(version, **config)
        return self.redeploy()

    def go_to_previous(self):
        return self.redeploy(find_returns(self.application).returns_to)

    def running(self):
        image = self.fake.inspect_container("shop-web-1")["Image"]
        return next(version for version, image_id in self.versions.items() if image_id == image)

    def left(self):
        keys = read_left_images(self.application.left_images).get("web", ())
        return [version for version, image_id in self.versions.items() if self.fake.digest_of(image_id) in keys]

    def history(self):
        return read_histories(self.application.services.all(), list_image_calls(self.application))["web"]


@pytest.fixture
def shop(monkeypatch, published):
    return Shop(monkeypatch)


def test_what_is_left_is_recorded_until_another_redeploy_succeeds(shop):
    shop.deploy("2")
    assert (shop.running(), shop.left()) == ("2", [])
    ended = shop.go_to_previous()
    assert (ended.state, shop.running(), shop.left()) == (CallState.SUCCEEDED, "1", ["2"])
    shop.publish("broken", Cmd=CRASHES)
    assert shop.redeploy().state == CallState.ROLLED_BACK
    assert shop.left() == ["2"]
    shop.deploy("3")
    assert (shop.running(), shop.application.left_images) == ("3", None)


def test_a_return_that_fails_leaves_nothing(shop):
    shop.deploy("2")
    broken = shop.fake.add_image("broken:1", Cmd=CRASHES)
    ended = shop.redeploy({"web": {"reference": REFERENCE, "image_id": broken, "digests": []}})
    assert (ended.state, shop.running(), shop.application.left_images) == (CallState.ROLLED_BACK, "2", None)


def test_a_second_return_leads_further_back(shop):
    shop.deploy("2")
    shop.deploy("3")
    shop.go_to_previous()
    assert (shop.running(), shop.left()) == ("2", ["3"])
    shop.go_to_previous()
    assert (shop.running(), shop.left()) == ("1", ["2", "3"])
    assert find_returns(shop.application).refusal.startswith("No image is known that shop ran before")


def test_the_history_says_what_brought_each_image_and_what_it_says_about_itself(shop):
    second = shop.deploy("2")
    third = shop.go_to_previous()
    now, before, first = shop.history()
    assert [entry.facts["version"] for entry in (now, before, first)] == ["1", "2", "1"]
    assert [entry.call for entry in (now, before, first)] == [third, second, None]
    assert [entry.replaced_by for entry in (now, before, first)] == [None, third, second]
    assert (now.is_current, now.until, before.until) == (True, None, third.completed_at)
    assert now.digest == shop.fake.digest_of(shop.versions["1"])


def test_what_ran_before_a_call_is_found_from_that_call(shop):
    second = shop.deploy("2")
    shop.deploy("3")
    [item] = find_returns_of_call(second).services
    assert (item.then.facts["version"], item.now.facts["version"]) == ("1", "3")
    shop.redeploy(find_returns_of_call(second).returns_to)
    assert shop.running() == "1"
    assert find_returns_of_call(second).refusal == "The images that ran before this call are running now."


def test_an_image_that_came_without_windlass_is_the_newest_change(shop):
    shop.deploy("2")
    shop.versions["3"] = shop.publish("3")
    shop.fake.pull_image(REFERENCE)
    labels = shop.fake.inspect_container("shop-web-1")["Config"]["Labels"]
    shop.fake.stop_container("shop-web-1", 0)
    shop.fake.remove_container("shop-web-1")
    shop.fake.run("shop-web-1", REFERENCE, Labels=labels)
    shop.observe()
    [item] = find_returns(shop.application).services
    assert (item.now.call, item.then.facts["version"], item.then.replaced_by) == (None, "2", None)

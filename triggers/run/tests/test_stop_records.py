"""What Stop left stopped is known to the redeploys that follow, also long after the call."""

import time
from types import SimpleNamespace

import pytest

from clusters.engine.fakes.fake_engine import CRASHES, FakeEngine
from clusters.models import Application
from clusters.tests.factories import ApplicationFactory
from triggers.calls.accept import accept_call
from triggers.calls.requests import CallRequest
from triggers.models import CallState, TriggerCall
from triggers.run import runner
from triggers.run.stop_records import read_stopped
from triggers.run.tests.test_runner_swarm import run

pytestmark = pytest.mark.django_db


@pytest.fixture
def fake(monkeypatch, published):
    engine = FakeEngine()
    engine.add_image("app:1")
    monkeypatch.setattr(runner, "EngineClient", lambda endpoint, credentials: engine)
    monkeypatch.setattr(runner, "time", SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: None))
    for service in ("web", "worker"):
        labels = {
            "com.docker.compose.project": "shop",
            "com.docker.compose.service": service,
            "com.docker.compose.container-number": "1",
            "windlass.update.monitor": "0s",
        }
        engine.run(f"shop-{service}-1", "app:1", Labels=labels, HostConfig={"RestartPolicy": {"Name": "always"}})
    return engine


@pytest.fixture
def shop():
    return ApplicationFactory(name="shop", source=Application.Source.COMPOSE)


def call(shop, action, **more):
    request = CallRequest(action=action, source=TriggerCall.Source.CONSOLE, application_id=shop.pk, **more)
    return run(accept_call(request))


def test_a_redeploy_leaves_what_stop_stopped_and_says_so(fake, shop):
    call(shop, "stop")
    TriggerCall.objects.all().delete()  # as a prune does in time
    for _ in range(2):
        ended = call(shop, "redeploy")
        assert ended.state == CallState.SUCCEEDED
        assert ended.message == (
            "2 containers of shop were replaced; none of them runs. shop-web-1, shop-worker-1 were replaced and stay stopped, "
            "each for this reason: it was stopped in Windlass, where it can be started."
        )
    assert fake.running() == set()


def test_a_redeploy_starts_it_if_somebody_asks_for_that(fake, shop):
    call(shop, "stop")
    ended = call(shop, "redeploy", start_stopped=True)
    assert ended.message.startswith("2 containers of shop now run ")
    assert fake.running() == {"shop-web-1", "shop-worker-1"}
    fake.kill_container("shop-web-1")
    call(shop, "redeploy")
    assert fake.running() == {"shop-web-1", "shop-worker-1"}


def test_start_ends_it(fake, shop):
    call(shop, "stop")
    call(shop, "redeploy")
    assert call(shop, "start").state == CallState.SUCCEEDED
    shop.refresh_from_db()
    assert read_stopped(shop) == {}
    fake.stop_container("shop-web-1")
    assert call(shop, "redeploy").message.startswith("2 containers of shop now run")
    assert fake.running() == {"shop-web-1", "shop-worker-1"}


def test_a_start_that_fails_ends_it_too(fake, shop):
    call(shop, "stop")
    fake.add_image("app:1", Cmd=CRASHES)
    call(shop, "redeploy")
    assert call(shop, "start").state == CallState.FAILED
    fake.add_image("app:1")
    call(shop, "redeploy")
    assert fake.running() == {"shop-web-1", "shop-worker-1"}


def test_a_start_does_not_say_that_a_crash_loop_runs(fake, shop):
    fake._find("shop-web-1")["State"].update(Status="restarting", Restarting=True)
    ended = call(shop, "start")
    assert ended.message == "shop is started, but 1 of 2 containers restarts again and again. Nothing was changed."


def test_one_container_is_stopped_and_started_by_itself(fake, shop):
    call(shop, "stop", container="shop-worker-1")
    fake.kill_container("shop-web-1")
    ended = call(shop, "redeploy")
    assert "shop-worker-1 was replaced and stays stopped: it was stopped in Windlass" in ended.message
    assert fake.running() == {"shop-web-1"}
    call(shop, "stop")
    call(shop, "start", container="shop-web-1")
    call(shop, "redeploy")
    assert fake.running() == {"shop-web-1"}


def test_what_another_tool_started_since_is_not_left(fake, shop):
    call(shop, "stop")
    fake.start_container("shop-web-1")
    fake.kill_container("shop-web-1")
    call(shop, "redeploy")
    assert fake.running() == {"shop-web-1"}

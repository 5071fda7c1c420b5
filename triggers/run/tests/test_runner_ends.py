"""However a call ends, no application lives on under a temporary name."""

import re
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from clusters.engine import retry
from clusters.engine.errors import EngineUnreachable, TimedOut
from clusters.engine.fakes.fake_engine import HEALTHY, FakeEngine
from clusters.engine.standalone.handlers import OperationHandler
from clusters.models import Application
from clusters.tests.factories import ApplicationFactory, ServiceFactory
from triggers.calls.accept import accept_call
from triggers.calls.requests import CallRequest
from triggers.models import CallState, TriggerCall
from triggers.run import runner
from triggers.run.claim import MAXIMUM_ATTEMPTS
from triggers.run.lease import WAITS_FOR_ENGINE, CallLease
from triggers.run.tests.test_runner_swarm import run
from triggers.tests.calling import expire_lease

pytestmark = pytest.mark.django_db
WEB = "shop-web-1"


@pytest.fixture
def fake(monkeypatch, published):
    engine = FakeEngine()
    engine.add_image("app:1", Env=["VERSION=1"])
    monkeypatch.setattr(runner, "EngineClient", lambda endpoint, credentials: engine)
    monkeypatch.setattr(runner, "time", SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: None))
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0)
    monkeypatch.setattr(runner, "ENGINE_PATIENCE", 0.0)
    labels = {
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": "web",
        "com.docker.compose.container-number": "1",
        "windlass.update.monitor": "0s",
    }
    engine.run(WEB, "app:1", Labels=labels, HostConfig={"Binds": ["data:/data"]})  # stop-first
    engine.add_image("app:1", Env=["VERSION=2"])
    return engine


@pytest.fixture
def call():
    shop = ApplicationFactory(name="shop", source=Application.Source.COMPOSE)
    request = CallRequest(action="redeploy", source=TriggerCall.Source.CONSOLE, application_id=shop.pk)
    return accept_call(request)


def test_a_scaling_that_changes_nothing_counts_what_runs(fake, call):
    call.delete()
    service = ServiceFactory(application=call.application, name="web")
    request = CallRequest(
        action="scaling",
        source=TriggerCall.Source.CONSOLE,
        application_id=call.application_id,
        service_id=service.pk,
        replicas=1,
    )
    fake._find(WEB)["State"].update(Status="restarting", Restarting=True)
    ended = run(accept_call(request))
    assert (ended.state, ended.message) == (
        CallState.SUCCEEDED,
        "web already has 1, of which 0 run; nothing was changed. Scaling from 1 to 1.",
    )


def has_version(fake, version):
    return f"VERSION={version}" in fake.inspect_container(WEB)["Config"]["Env"]


def test_the_calls_own_limit_is_rolled_back_like_a_failure(fake, call, monkeypatch):
    def find_interruption(lease):
        is_half_done = any(line.startswith("start ") for line in fake.operations)
        return TimedOut("Stopped after 3600 s, the time limit of a call.") if is_half_done else None

    monkeypatch.setattr(CallLease, "find_interruption", find_interruption)
    fake._find(WEB)["Config"]["Labels"]["windlass.update.monitor"] = "1h"
    call = run(call)
    assert (call.state, call.reason) == (CallState.ROLLED_BACK, "timed_out")
    assert call.message == "Stopped after 3600 s, the time limit of a call. The previous container is running again."
    assert (fake.names(), fake.running(), has_version(fake, 1)) == ({WEB}, {WEB}, True)


def test_a_defect_in_the_middle_is_rolled_back(fake, call, monkeypatch):
    def fail(handler, client, operation):
        raise KeyError("oops")

    monkeypatch.setattr(OperationHandler, "_watch", fail)
    call = run(call)
    assert (call.state, call.reason) == (CallState.ROLLED_BACK, "internal_error")
    assert call.message.startswith("Windlass has a defect (KeyError); its log has the details. Everything that ")
    assert (fake.names(), fake.running(), has_version(fake, 1)) == ({WEB}, {WEB}, True)


def lose_engine(fake, after):
    """Let the engine vanish once it has done an operation that begins so. Return a function that brings it back."""

    def refuse(method):
        if any(line.startswith(after) for line in fake.operations):
            raise EngineUnreachable("The engine does not answer: connection refused.")

    fake.before_request = refuse
    return lambda: setattr(fake, "before_request", lambda method: None)


def test_a_call_whose_workers_are_all_lost_is_rolled_back_when_it_is_given_up(fake, call):
    come_back = lose_engine(fake, "start ")
    call = run(call)
    come_back()
    assert len(fake.names()) == 2
    TriggerCall.objects.filter(pk=call.pk).update(attempts=MAXIMUM_ATTEMPTS, lease_owner="dead")
    expire_lease(call)
    call = run(call)
    assert (call.state, call.reason) == (CallState.ROLLED_BACK, "lost")
    assert (fake.names(), fake.running(), has_version(fake, 1)) == ({WEB}, {WEB}, True)


def test_a_call_that_is_half_done_waits_for_its_engine_without_a_worker(fake, call):
    come_back = lose_engine(fake, "stop ")
    for _ in range(3):
        call = run(call)
        assert (call.state, call.lease_owner) == (CallState.RUNNING, "")
        assert WAITS_FOR_ENGINE in call.message
        expire_lease(call)
    assert call.events.filter(text__contains=WAITS_FOR_ENGINE).count() == 1
    come_back()
    call = run(call)
    assert (call.state, call.attempts) == (CallState.SUCCEEDED, 1)
    assert (fake.names(), fake.running(), has_version(fake, 2)) == ({WEB}, {WEB}, True)


def test_what_a_lost_worker_left_is_repaired_also_where_the_call_is_refused_now(fake, call):
    come_back = lose_engine(fake, "start ")
    call = run(call)
    come_back()
    for container in fake.containers.values():
        container["Config"]["Labels"]["windlass.protected"] = "true"
    expire_lease(call)
    call = run(call)
    assert (call.state, call.reason) == (CallState.ROLLED_BACK, "protected")
    assert call.message.endswith("Everything that an earlier attempt had begun was rolled back.")
    assert (fake.names(), fake.running(), has_version(fake, 1)) == ({WEB}, {WEB}, True)


def test_past_the_limit_it_waits_no_longer(fake, call):
    lose_engine(fake, "stop ")
    call = run(call)
    TriggerCall.objects.filter(pk=call.pk).update(started_at=timezone.now() - timedelta(hours=2))
    expire_lease(call)
    call = run(call)
    assert (call.state, call.reason) == (CallState.FAILED, "engine_unreachable")
    assert "a redeploy completes or undoes what is half done" in call.message


def test_while_a_health_check_is_waited_for_the_message_says_for_what_and_until_when(fake, call, monkeypatch):
    fake.add_image("app:1", Env=["VERSION=2"], Healthcheck=HEALTHY)
    looks, messages = [], []

    def be_slow(method):
        new = next((c for c in fake.containers.values() if c["State"].get("Health")), None)  # the old image has no check
        if new and (health := new["State"]["Health"]):
            looks.append(method)
            health["Status"] = "starting" if len(looks) < 3 else "healthy"

    def note(running, *event, report=runner.CallRun.report):
        report(running, *event)
        messages.append(TriggerCall.objects.values_list("message", flat=True).get(pk=call.pk))

    monkeypatch.setattr(runner.CallRun, "report", note)
    fake.before_request = be_slow
    assert run(call).state == CallState.SUCCEEDED
    (waiting,) = set(messages) - {""}
    assert re.fullmatch(
        rf"Waiting until \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC at the latest for the health check of {WEB}\.", waiting
    )

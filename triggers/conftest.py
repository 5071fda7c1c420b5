from contextlib import nullcontext

import pytest
from django.utils import timezone

from triggers.calls import nudges
from triggers.run import runner
from triggers.run.lease import CallLease
from triggers.tests.scripted_driver import ScriptedDriver


@pytest.fixture
def published(monkeypatch):
    """The ids of the applications that were nudged, instead of messages to a broker."""
    ids: list[int] = []
    monkeypatch.setattr(nudges, "publish_nudge", ids.append)
    return ids


@pytest.fixture(autouse=True)
def without_outwaiting(monkeypatch):
    """Run a call as soon as it is taken over: the lost worker of a test is really lost."""
    monkeypatch.setattr(CallLease, "outwait_predecessor", lambda lease: None)


@pytest.fixture
def driver(monkeypatch, published):
    """The scripted driver that every call runs on; no engine is connected."""
    scripted = ScriptedDriver()
    monkeypatch.setattr(runner, "driver_for", lambda source: scripted)
    monkeypatch.setattr(runner, "EngineClient", lambda endpoint, credentials: nullcontext())
    monkeypatch.setattr(runner.time, "sleep", lambda seconds: None)
    return scripted


@pytest.fixture
def stopped_clock(monkeypatch):
    """Django's clock stands in the middle of a minute, so that no test that counts by minutes meets the end of one."""
    moment = timezone.now().replace(second=30, microsecond=0)
    monkeypatch.setattr(timezone, "now", lambda: moment)
    return moment

"""Fixtures of all tests of the console."""

import pytest
from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from clusters.engine.errors import EngineUnreachable
from clusters.engine.fakes.fake_engine import FakeEngine
from clusters.models import Cluster
from clusters.registries import PushPermission
from clusters.waits import Places
from console.pages.shared import downloads
from console.tests.fleet import Fleet
from triggers.conftest import published as published


@pytest.fixture(autouse=True)
def live_engine(monkeypatch):
    """The engine that the pages of every cluster read from. No other engine is contacted, and none answers on this machine."""
    engine = FakeEngine()
    engine.add_image("shop:1", size=40_000_000)
    monkeypatch.setattr("console.pages.shared.live.connect", lambda cluster: engine)
    monkeypatch.setattr("console.process.local_engine.probe_engine", lambda url: False)
    cache.clear()
    return engine


@pytest.fixture(autouse=True)
def download_places(monkeypatch):
    """Places of the test's own: a download that another test has not read to its end holds one."""
    monkeypatch.setattr(downloads, "places", Places(settings.DOWNLOADS, settings.DOWNLOADS_FOR_EACH))


@pytest.fixture(autouse=True)
def permissions(monkeypatch):
    """The answers of registries about pushes, by repository: empty, or the reason for a refusal. No real one is contacted."""
    known: dict[str, str] = {}
    monkeypatch.setattr("triggers.pushes.subscriptions.find_push_permission", lambda name: answer_for(known.get(name, "")))
    return known


def answer_for(reason: str) -> PushPermission:
    return PushPermission(not reason, reason)


@pytest.fixture(autouse=True)
def no_engine(monkeypatch):
    """No engine answers pages that read from one. Tests that need one use `fake_engine`."""

    def refuse(endpoint, timeout):
        raise EngineUnreachable("No engine answers in this test.")

    monkeypatch.setattr("console.pages.shared.live.EngineClient", refuse)


@pytest.fixture
def fake_engine(no_engine, monkeypatch):
    """An engine in memory that answers pages."""
    fake = FakeEngine()
    monkeypatch.setattr("console.pages.shared.live.EngineClient", lambda endpoint, timeout: fake)
    return fake


@pytest.fixture
def reader(admin_client, published):
    """A test client signed in as an administrator."""
    return admin_client


@pytest.fixture
def fleet(db):
    return Fleet()


@pytest.fixture
def swarm_fleet(db):
    return Fleet(swarm=True)


@pytest.fixture
def lost_cluster(fleet):
    Cluster.objects.filter(pk=fleet.cluster.pk).update(
        status="unreachable", status_reason="Connection refused.", status_changed_at=timezone.now()
    )

"""Which of several watchers watches a cluster. tests/integration/test_watch.py covers watching on real engines."""

from datetime import timedelta

import pytest

from clusters import inventory, watch
from clusters.engine.errors import EngineUnreachable
from clusters.engine.fakes.fake_engine import FakeEngine
from clusters.engine.inspection.listing import observe_engine
from clusters.models import Cluster, Lease
from clusters.tests.clock import move_database_clock
from clusters.tests.factories import ClusterFactory
from clusters.tests.pooled import pooled as pooled
from clusters.watch import ClusterWatch, Roster

pytestmark = pytest.mark.django_db


def test_a_watcher_claims_what_no_other_watches_and_hands_over_when_it_stops():
    first, second = ClusterFactory(), ClusterFactory()
    one, two = Roster(), Roster()
    assert one.claim_clusters() == {first.pk: first, second.pk: second}
    third = ClusterFactory()
    assert two.claim_clusters() == {third.pk: third}
    one.release_clusters()
    assert two.claim_clusters().keys() == {first.pk, second.pk, third.pk}


def test_the_clusters_of_a_lost_watcher_are_taken_over_when_its_leases_expire(settings):
    cluster = ClusterFactory()
    lost, other = Roster(), Roster()
    lost.claim_clusters()
    assert other.claim_clusters() == {}
    move_database_clock(timedelta(seconds=settings.CALL_LEASE_SECONDS))
    assert other.claim_clusters() == {cluster.pk: cluster}
    assert lost.claim_clusters() == {}  # in case it is alive after all


def test_the_lease_of_a_deleted_cluster_is_released():
    ClusterFactory()
    roster = Roster()
    roster.claim_clusters()
    Cluster.objects.all().delete()
    assert roster.claim_clusters() == {}
    assert not Lease.objects.exists()


def test_podman_is_synced_more_often_and_its_word_for_an_end_is_listened_for():
    """Podman reports the end of a process only when another process of its looks after it."""
    engine = FakeEngine()
    engine.passed_over = ()
    docker = watch.choose_patience(observe_engine(engine), engine)
    engine.libpod_version = "4.3.1"
    assert watch.choose_patience(observe_engine(engine), engine) <= docker / 3
    assert {"die", "died"} <= set(watch.EVENT_FILTERS["event"])


@pytest.mark.django_db(transaction=True)
def test_no_connection_is_held_while_an_engine_is_waited_for(pooled, monkeypatch):
    """One process watches more clusters than it has connections."""
    cluster_watch, held = ClusterWatch(ClusterFactory()), []

    def note(place):
        held.append((place, pooled()))

    def connect(endpoint, timeout):
        note("connect")
        engine = FakeEngine()
        engine.address, engine.passed_over = endpoint.url, ()
        return engine

    def observe(client, known, really=inventory.observe_engine):
        note("observe")
        return really(client, known)

    def listen(client, observed, patience):
        note("listen")
        cluster_watch.stop()

    monkeypatch.setattr(watch, "EngineClient", connect)
    monkeypatch.setattr(inventory, "observe_engine", observe)
    monkeypatch.setattr(cluster_watch, "wait_for_change", listen)
    Cluster.objects.count()
    cluster_watch.run()
    assert [place for place, _ in held] == ["connect", "observe", "listen"]
    assert [place for place, is_held in held[1:] if is_held] == []


@pytest.mark.django_db(transaction=True)
def test_no_connection_is_held_while_a_lost_engine_is_tried_again(pooled, monkeypatch):
    cluster = ClusterFactory()
    cluster_watch = ClusterWatch(cluster)

    def refuse(endpoint, timeout):
        raise EngineUnreachable("Nobody listens there.")

    monkeypatch.setattr(watch, "EngineClient", refuse)
    held = []

    def wait(seconds):
        held.append(pooled())
        cluster_watch.stop()

    monkeypatch.setattr(cluster_watch._stopping, "wait", wait)
    cluster_watch.run()
    cluster.refresh_from_db()
    assert (cluster.status, held) == ("unreachable", [False])

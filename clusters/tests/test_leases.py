"""Leases: one holder a name, taken over when their time is over or at once when they are let go."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from clusters.leases import LONGEST_LEASE, claim_leases, extend_leases, make_owner, release_leases
from clusters.models import Cluster, Lease
from clusters.tests.factories import ClusterFactory
from clusters.watch import Roster

pytestmark = pytest.mark.django_db


def move_clock(by: timedelta) -> None:
    """As if the database's clock had moved ahead."""
    Lease.objects.update(expires_at=F("expires_at") - by)


def test_what_one_holds_no_other_gets():
    assert claim_leases({"a", "b"}, "one", 15) == {"a", "b"}
    assert claim_leases({"a", "b", "c"}, "two", 15) == {"c"}
    assert claim_leases({"a", "b", "c"}, "one", 15) == {"a", "b"}


def test_a_lease_that_is_extended_stays_and_one_that_is_not_is_taken_over():
    claim_leases({"a"}, "one", 15)
    claim_leases({"b"}, "two", 15)
    move_clock(timedelta(seconds=10))
    extend_leases("one", 15)
    move_clock(timedelta(seconds=10))
    assert claim_leases({"a", "b"}, "three", 15) == {"b"}
    assert claim_leases({"a", "b"}, "two", 15) == set()


def test_an_expired_lease_that_nobody_took_is_its_holders_still():
    claim_leases({"a"}, "one", 15)
    move_clock(timedelta(minutes=1))
    extend_leases("one", 15)
    assert claim_leases({"a"}, "two", 15) == set()


def test_what_is_let_go_can_be_taken_at_once():
    claim_leases({"a", "b"}, "one", 15)
    release_leases("one", {"a"})
    assert claim_leases({"a", "b"}, "two", 15) == {"a"}
    release_leases("one")
    assert claim_leases({"a", "b"}, "two", 15) == {"a", "b"}


def test_a_lease_from_a_clock_that_was_set_back_holds_nobody_up():
    Lease.objects.create(name="a", owner="one", expires_at=Now() + LONGEST_LEASE + timedelta(days=365))
    assert claim_leases({"a"}, "two", 15) == {"a"}


@pytest.mark.django_db(transaction=True)
def test_of_many_that_ask_at_once_one_gets_it():
    Lease.objects.create(name="expired", owner="lost", expires_at=Now() - timedelta(seconds=1))
    names = {"expired", "free"}
    held: dict[str, set[str]] = {}
    start = threading.Barrier(8)

    def claim() -> None:
        owner = make_owner()
        start.wait()
        held[owner] = claim_leases(names, owner, 15)
        connection.close()

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held) == 8
    assert sorted(name for found in held.values() for name in found) == sorted(names)


def test_a_watcher_follows_what_no_other_does_and_hands_over_when_it_leaves():
    first, second = ClusterFactory(), ClusterFactory()
    one, two = Roster(), Roster()
    assert one.list_own() == {first.pk: first, second.pk: second}
    third = ClusterFactory()
    assert two.list_own() == {third.pk: third}
    one.leave()
    assert two.list_own().keys() == {first.pk, second.pk, third.pk}


def test_a_lost_watchers_clusters_are_taken_over_when_its_lease_is_over(settings):
    cluster = ClusterFactory()
    lost, other = Roster(), Roster()
    lost.list_own()
    assert other.list_own() == {}
    move_clock(timedelta(seconds=settings.CALL_LEASE_SECONDS))
    assert other.list_own() == {cluster.pk: cluster}
    assert lost.list_own() == {}  # should it live after all


def test_a_deleted_clusters_lease_goes_with_it():
    ClusterFactory()
    roster = Roster()
    roster.list_own()
    Cluster.objects.all().delete()
    assert roster.list_own() == {}
    assert not Lease.objects.exists()

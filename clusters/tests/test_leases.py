"""Each lease has one holder. Others take it when it expires, or at once when it is released."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from clusters.leases import LONGEST_LEASE, claim_leases, extend_leases, make_lease_owner, release_leases
from clusters.models import Lease
from clusters.tests.clock import move_database_clock

pytestmark = pytest.mark.django_db


def test_a_lease_that_one_holds_is_given_to_nobody_else():
    assert claim_leases({"a", "b"}, "one", 15) == {"a", "b"}
    assert claim_leases({"a", "b", "c"}, "two", 15) == {"c"}
    assert claim_leases({"a", "b", "c"}, "one", 15) == {"a", "b"}


def test_a_lease_that_is_extended_stays_and_one_that_is_not_can_be_taken():
    claim_leases({"a"}, "one", 15)
    claim_leases({"b"}, "two", 15)
    move_database_clock(timedelta(seconds=10))
    extend_leases("one", 15)
    move_database_clock(timedelta(seconds=10))
    assert claim_leases({"a", "b"}, "three", 15) == {"b"}
    assert claim_leases({"a", "b"}, "two", 15) == set()


def test_an_expired_lease_that_nobody_took_still_belongs_to_its_holder():
    claim_leases({"a"}, "one", 15)
    move_database_clock(timedelta(minutes=1))
    extend_leases("one", 15)
    assert claim_leases({"a"}, "two", 15) == set()


def test_a_released_lease_can_be_taken_at_once():
    claim_leases({"a", "b"}, "one", 15)
    release_leases("one", {"a"})
    assert claim_leases({"a", "b"}, "two", 15) == {"a"}
    release_leases("one")
    assert claim_leases({"a", "b"}, "two", 15) == {"a", "b"}


def test_a_lease_from_before_the_clock_was_set_back_blocks_nobody():
    Lease.objects.create(name="a", owner="one", expires_at=Now() + LONGEST_LEASE + timedelta(days=365))
    assert claim_leases({"a"}, "two", 15) == {"a"}


@pytest.mark.django_db(transaction=True)
def test_one_of_many_simultaneous_claims_succeeds():
    Lease.objects.create(name="expired", owner="lost", expires_at=Now() - timedelta(seconds=1))
    names = {"expired", "free"}
    held: dict[str, set[str]] = {}
    start = threading.Barrier(8)

    def claim() -> None:
        owner = make_lease_owner()
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

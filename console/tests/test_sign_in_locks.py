"""When failed sign-ins lock an address or a name there, for how long, and how many rows they leave."""

from datetime import UTC, datetime, timedelta

import pytest
from axes.models import AccessAttempt, AccessFailureLog

from console import sign_in_locks
from console.sign_in_locks import (
    ADDRESS_SPAN,
    FAILURES_OF_ADDRESS,
    FAILURES_OF_NAME,
    LOCK_SPAN,
    NAME_SPAN,
    add_failure,
    end_locks,
    end_of,
    find_lock,
    find_network,
    forget_failures,
    list_locks,
    normalize_name,
    prune_failures,
)

pytestmark = pytest.mark.django_db
HERE, THERE = "192.0.2.7", "192.0.2.8"
MINUTE = timedelta(minutes=1)


class Clock:
    now = datetime(2026, 11, 30, 12, tzinfo=UTC)

    def move(self, step):
        self.now += step


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("django.utils.timezone.now", lambda: clock.now)
    return clock


def fail(name="ada", network=HERE, times=1):
    return [add_failure(network, name) for _ in range(times)][-1]


class TestNameAtAnAddress:
    def test_the_fifth_failure_locks(self):
        assert fail(times=FAILURES_OF_NAME - 1) is None
        assert find_lock(HERE, "ada") is None
        assert fail() == find_lock(HERE, "ada")

    def test_neither_the_name_elsewhere_nor_another_name_here_is_locked(self):
        fail(times=FAILURES_OF_NAME)
        assert find_lock(THERE, "ada") is None
        assert find_lock(HERE, "bob") is None

    def test_the_lock_ends_after_its_span_and_leaves_a_new_beginning(self, clock):
        lock = fail(times=FAILURES_OF_NAME)
        assert end_of(lock) == clock.now + LOCK_SPAN
        clock.move(LOCK_SPAN - MINUTE)
        assert find_lock(HERE, "ada")
        clock.move(MINUTE)
        assert find_lock(HERE, "ada") is None
        assert fail(times=FAILURES_OF_NAME - 1) is None

    def test_failures_count_within_the_span_alone(self, clock):
        for _ in range(3 * FAILURES_OF_NAME):
            assert fail() is None
            clock.move(NAME_SPAN / (FAILURES_OF_NAME - 1))

    def test_a_success_forgets_those_of_this_name_at_this_address(self):
        fail(times=FAILURES_OF_NAME - 1)
        fail("bob", times=FAILURES_OF_NAME - 1)
        forget_failures(HERE, "ada")
        assert fail() is None
        assert fail("bob")

    def test_it_locks_again_after_the_next_ones(self, clock):
        fail(times=FAILURES_OF_NAME)
        clock.move(LOCK_SPAN)
        assert fail(times=FAILURES_OF_NAME)
        assert AccessAttempt.objects.count() == 1


class TestAddress:
    def test_fifty_failures_lock_whatever_the_names(self):
        for number in range(FAILURES_OF_ADDRESS - 1):
            assert fail(f"user-{number}") is None
        assert fail("one more")
        assert find_lock(HERE, "somebody else")
        assert find_lock(THERE, "somebody else") is None

    def test_further_failures_of_the_same_hour_lock_at_once(self, clock):
        for number in range(FAILURES_OF_ADDRESS):
            fail(f"user-{number}")
        clock.move(LOCK_SPAN)
        assert find_lock(HERE, "ada") is None
        assert fail()
        clock.move(ADDRESS_SPAN)
        assert fail() is None

    def test_whose_name_is_not_known_counts_for_the_address_alone(self):
        assert fail("", times=FAILURES_OF_ADDRESS - 1) is None
        assert fail("")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        (HERE, HERE),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("2001:db8:1:3::9", "2001:db8:1:3::"),
        (None, "0.0.0.0"),  # noqa: S104
    ],
)
def test_what_of_an_address_counts(address, network):
    assert find_network(address) == network


@pytest.mark.parametrize("written", ["ada", " ada ", "\uff41da", "a\0da"])
def test_a_name_is_one_however_it_is_written(written):
    assert normalize_name(written) == "ada"


class TestUnlocking:
    @pytest.mark.parametrize(
        ("chosen", "left"),
        [
            ({"address": HERE, "name": "ada"}, {(HERE, "bob"), (THERE, "ada")}),
            ({"address": HERE}, {(THERE, "ada")}),
            ({"name": "ada"}, {(HERE, "bob")}),
            ({}, set()),
        ],
        ids=["both", "address", "name", "all"],
    )
    def test_what_is_chosen_is_unlocked(self, chosen, left):
        for network, name in ((HERE, "ada"), (HERE, "bob"), (THERE, "ada")):
            fail(name, network, FAILURES_OF_NAME)
        assert end_locks(**chosen) == (3 - len(left)) * (FAILURES_OF_NAME + 1)
        assert {(lock.ip_address, lock.username) for lock in list_locks()} == left
        for network, name in ((HERE, "ada"), (HERE, "bob"), (THERE, "ada")):
            assert bool(find_lock(network, name)) == ((network, name) in left)


class TestRows:
    def test_what_counts_no_more_is_pruned(self, clock):
        fail(times=FAILURES_OF_NAME)
        clock.move(ADDRESS_SPAN - MINUTE)
        fail("bob")
        assert prune_failures() == 0
        assert not AccessAttempt.objects.exists()
        clock.move(MINUTE)
        assert prune_failures() == FAILURES_OF_NAME
        assert AccessFailureLog.objects.get().username == "bob"

    def test_a_flood_from_many_addresses_and_names_leaves_a_bounded_number(self, settings, monkeypatch):
        settings.SIGN_IN_FAILURES = 20
        pruned = []
        monkeypatch.setattr(sign_in_locks.surplus_pruner, "note_added", lambda: pruned.append(prune_failures()))
        for number in range(100):
            fail(f"user-{number}", f"198.51.{number // 50}.{number % 50}")
        prune_failures()
        assert list(AccessFailureLog.objects.order_by("pk").values_list("username", flat=True)) == [
            f"user-{number}" for number in range(80, 100)
        ]
        assert len(pruned) == 100  # each addition is noted, so that a surplus is deleted between two prunes

    def test_no_row_holds_what_was_sent(self):
        fail(times=FAILURES_OF_NAME)
        lock = AccessAttempt.objects.get()
        assert (lock.get_data, lock.post_data, lock.user_agent, lock.path_info) == ("", "", "", "")

"""Refusals and failed sign-ins: few rows and few writes, however fast somebody tries."""

import threading

import pytest
from django.db import DatabaseError, connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext

from clusters.access import counted_acts as module
from clusters.access.counted_acts import ENTRIES_A_SPAN, OTHERS, SPAN_SECONDS, CountedActs
from clusters.models import AuditEntry


@pytest.fixture
def clock(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    return clock


def fail(acts, name="eve", address="203.0.113.9", **more):
    acts.count(None, "sign_in.fail", actor=name, address=address, **more)


@pytest.mark.django_db
class TestCounting:
    def test_the_first_is_stored_at_once_and_the_next_are_counted(self, clock):
        acts = CountedActs()
        fail(acts)
        with CaptureQueriesContext(connection) as queries:
            for _ in range(1000):
                fail(acts)
        assert len(queries) == 0
        entry = AuditEntry.objects.get()
        assert (entry.actor, entry.address, entry.count, entry.last_at) == ("eve", "203.0.113.9", 1, None)
        acts.store()
        entry.refresh_from_db()
        assert entry.count == 1001
        assert entry.last_at >= entry.time
        with CaptureQueriesContext(connection) as queries:
            acts.store()
        assert len(queries) == 0

    def test_another_name_address_kind_or_span_is_another_entry(self, clock):
        acts = CountedActs()
        fail(acts)
        fail(acts, name="bob")
        fail(acts, address="203.0.113.10")
        fail(acts, kind="other")
        clock[0] += SPAN_SECONDS - 1
        fail(acts)
        clock[0] += 1
        fail(acts)
        acts.store()
        assert list(AuditEntry.objects.order_by("pk").values_list("count", flat=True)) == [2, 1, 1, 1, 1]

    def test_what_comes_from_very_many_shares_one_entry(self, clock):
        acts = CountedActs()
        for number in range(500):
            fail(acts, name=f"user {number}", address=f"2001:db8::{number:x}", secret_looking="detail")
        acts.store()
        assert AuditEntry.objects.count() == ENTRIES_A_SPAN + 1
        assert AuditEntry.objects.aggregate(all=Sum("count"))["all"] == 500
        others = AuditEntry.objects.get(actor=OTHERS)
        assert (others.count, others.address, others.details) == (500 - ENTRIES_A_SPAN, None, {})
        assert len(acts._open) == ENTRIES_A_SPAN + 1
        clock[0] += SPAN_SECONDS
        fail(acts)
        assert len(acts._open) == 1

    def test_one_action_leaves_room_for_the_others(self, clock):
        acts = CountedActs()
        for number in range(100):
            fail(acts, name=str(number))
        acts.count(None, "token.refuse", address="203.0.113.9")
        assert AuditEntry.objects.get(action="token.refuse").address == "203.0.113.9"

    def test_repetitions_just_before_the_end_of_a_span_are_not_lost(self, clock):
        acts = CountedActs()
        fail(acts)
        fail(acts)
        clock[0] += SPAN_SECONDS
        fail(acts)
        acts.store()
        assert list(AuditEntry.objects.order_by("pk").values_list("count", flat=True)) == [2, 1]

    def test_while_the_database_is_away_nothing_fails_and_repetitions_are_kept(self, clock, monkeypatch):
        acts = CountedActs()
        with monkeypatch.context() as away:
            away.setattr(module, "record", refuse)
            fail(acts)
        fail(acts)
        fail(acts)
        with monkeypatch.context() as away:
            away.setattr("django.db.models.query.QuerySet.update", refuse)
            with pytest.raises(DatabaseError):
                acts.store()
        acts.store()
        assert AuditEntry.objects.get().count == 2


def refuse(*arguments, **named):
    raise DatabaseError("away")


@pytest.mark.django_db(transaction=True)
def test_threads_that_come_together_make_one_entry():
    acts = CountedActs()
    start = threading.Barrier(8)

    def try_often():
        start.wait()
        for _ in range(50):
            fail(acts)
        connection.close()

    threads = [threading.Thread(target=try_often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    acts.store()
    assert AuditEntry.objects.get().count == 400

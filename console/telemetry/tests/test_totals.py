"""The sums of what all processes count."""

import threading

import pytest
from django.db import DatabaseError

from clusters import meters
from clusters.access.counted_acts import counted_acts
from clusters.models import AuditEntry
from console.models import Process, Total
from console.telemetry import totals
from console.telemetry.tests.samples import read_samples
from console.telemetry.totals import read_totals, store_totals
from triggers.calls.prune import prune_calls


@pytest.mark.django_db
def test_sums_grow_over_processes_and_outlive_the_calls():
    for _ in range(2):  # as two processes would
        meters.CALLS_ENDED.add("stop", "succeeded", "")
        store_totals()
    prune_calls()
    assert read_samples()['windlass_calls_ended_total{action="stop",state="succeeded",reason=""}'] == 2
    assert Total.objects.count() == 1


@pytest.mark.django_db
def test_what_could_not_be_stored_is_stored_the_next_time(monkeypatch):
    def refuse(rows):
        raise DatabaseError("away")

    meters.CALLS_ENDED.add("stop", "succeeded", "")
    meters.CALL_RUN_SECONDS.observe(1.0, "stop", "succeeded")
    with monkeypatch.context() as broken:
        broken.setattr(totals, "_write_statement", refuse)
        with pytest.raises(DatabaseError):
            store_totals()
    found = read_samples()
    assert found['windlass_calls_ended_total{action="stop",state="succeeded",reason=""}'] == 1
    assert found['windlass_call_run_seconds_count{action="stop",state="succeeded"}'] == 1


@pytest.mark.django_db(transaction=True)
def test_processes_that_store_at_once_lose_nothing():
    def count():
        try:
            for _ in range(20):
                meters.CALLS_ENDED.add("redeploy", "failed", "lost")
                meters.CALL_RUN_SECONDS.observe(1.0, "redeploy", "failed")
                store_totals()
        finally:
            totals.connection.close()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store_totals()
    found = {(name, dict(labels).get("le")): value for (name, labels), value in read_totals().items()}
    assert found["windlass_calls_ended_total", None] == 80
    assert found["windlass_call_run_seconds_bucket", "+Inf"] == 80


@pytest.mark.django_db(transaction=True)
def test_a_reporter_stores_what_is_counted_when_its_process_ends():
    meters.CALLS_ENDED.add("redeploy", "failed", "lost")
    for _ in range(3):
        counted_acts.count(None, "sign_in.fail", actor="eve")
    with totals.reporting("watch"):
        pass
    assert list(read_totals().values()) == [1]
    assert AuditEntry.objects.get().count == 3
    assert not Process.objects.exists()

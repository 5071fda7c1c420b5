"""Surplus rows are deleted while rows are added, and not only by the watcher."""

import threading

import pytest
from django.db import DatabaseError

from clusters import batches
from clusters.batches import SurplusPruner

# Before the fixture that keeps it from starting threads in other tests.
NOTE_ADDED = SurplusPruner.note_added


@pytest.fixture
def started(monkeypatch):
    """The pruners that were started. Commits follow at once."""
    started = []
    monkeypatch.setattr(SurplusPruner, "note_added", NOTE_ADDED)
    monkeypatch.setattr(SurplusPruner, "start", lambda pruner: started.append(pruner))  # noqa: PLW0108 - a function, so that it is bound
    monkeypatch.setattr(batches.transaction, "on_commit", lambda start, robust: start())
    return started


@pytest.mark.parametrize(("kept", "interval"), [(10_000, 100), (1_000_000, 10_000), (100, 10)])
def test_a_prune_begins_with_each_hundredth_of_the_kept_rows(started, settings, kept, interval):
    settings.CALL_RETENTION_COUNT = kept
    pruner = SurplusPruner("CALL_RETENTION_COUNT", lambda: 0)
    for _ in range(3 * interval - 1):
        pruner.note_added()
    assert len(started) == 2


@pytest.mark.django_db(transaction=True)
def test_it_runs_in_a_thread_of_its_own_and_never_twice_at_once(settings):
    may_end, ran = threading.Event(), []

    def prune():
        ran.append(threading.current_thread())
        may_end.wait(60)
        return 1

    pruner = SurplusPruner("CALL_RETENTION_COUNT", prune)
    pruner.start()
    pruner.start()
    may_end.set()
    ran[0].join(60)
    assert len(ran) == 1
    assert ran[0] is not threading.current_thread()
    pruner.start()
    ran[-1].join(60)
    assert len(ran) == 2


@pytest.mark.django_db(transaction=True)
def test_a_database_that_fails_ends_this_prune_alone(caplog):
    answers = [DatabaseError("locked"), None]
    threads = []

    def prune():
        threads.append(threading.current_thread())
        if error := answers.pop(0):
            raise error
        return 0

    pruner = SurplusPruner("CALL_RETENTION_COUNT", prune)
    for number in (1, 2):
        pruner.start()
        while len(threads) < number:
            threading.Event().wait(0.001)
        threads[-1].join(60)
    assert "the next prune does it" in caplog.text
    assert answers == []

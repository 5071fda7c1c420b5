from datetime import timedelta

import pytest
from django.db import DatabaseError

from clusters.tests.clock import move_database_clock
from console.management.commands import watch


def test_polling_continues_after_the_database_failed(monkeypatch):
    turns = iter([False, False, True])
    rounds = []

    def fail():
        rounds.append(1)
        raise DatabaseError("locked")

    fail.__name__ = "poll_subscriptions"
    monkeypatch.setattr(watch, "poll_subscriptions", fail)
    monkeypatch.setattr(watch.connection, "close", lambda: None)
    monkeypatch.setattr(watch, "close_old_connections", lambda: None)
    watch.poll_registries(type("Stop", (), {"wait": lambda self, seconds: next(turns)})())
    assert len(rounds) == 2


@pytest.mark.django_db
def test_one_of_several_watchers_prunes_and_again_an_hour_later(monkeypatch):
    prunes = []
    monkeypatch.setattr(watch, "PRUNES", (lambda: prunes.append(1),))
    for _ in range(3):
        watch.prune_when_due()
    assert len(prunes) == 1
    move_database_clock(timedelta(seconds=watch.PRUNE_SECONDS))
    watch.prune_when_due()
    assert len(prunes) == 2

from django.db import DatabaseError

from console.management.commands import watch


def test_the_watcher_goes_on_after_a_database_that_failed(monkeypatch):
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

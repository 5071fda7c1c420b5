"""No thread that a process needs ends by an exception."""

import threading

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError

from clusters import steady, watch
from console.management.commands import watch as command
from console.telemetry.totals import Reporter
from triggers.calls.nudges import send_nudge
from triggers.hook.waiting import CallWaiters

ERRORS = [DatabaseError("away"), ImproperlyConfigured("a key"), RuntimeError("nobody expected it"), KeyError("x")]


@pytest.fixture(autouse=True)
def no_connection(monkeypatch):
    monkeypatch.setattr(steady.connection, "close", lambda: None)


def fail_with(error):
    def fail(*_, **__):
        raise error

    return fail


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize(
    ("loop", "chore"),
    [(command.keep_house, "sweep_calls"), (command.poll_registries, "poll_subscriptions")],
    ids=["sweep", "poll"],
)
def test_no_chore_ends_the_loop_of_the_watcher(monkeypatch, loop, chore, error):
    turns = []
    for name in ("sweep_calls", "poll_subscriptions", "prune_when_due"):
        monkeypatch.setattr(command, name, lambda: None)
    monkeypatch.setattr(command, chore, fail_with(error))
    monkeypatch.setattr(command.connection, "close", lambda: None)
    monkeypatch.setattr(command, "close_old_connections", lambda: None)
    monkeypatch.setattr(threading.Event, "wait", lambda *_: turns.append(1) or len(turns) > 2)
    loop(threading.Event())
    assert len(turns) == 3


def test_an_engine_is_followed_after_any_error(monkeypatch):
    followed = watch.ClusterWatch.__new__(watch.ClusterWatch)
    followed._failures, followed._stopping = 0, threading.Event()
    followed.log, followed.endpoint = watch.log, None
    monkeypatch.setattr(watch, "EngineClient", fail_with(RuntimeError("nobody expected it")))
    followed.follow_engine()
    assert followed._failures == 1


def test_a_broker_that_fails_in_any_way_changes_no_answer(monkeypatch):
    monkeypatch.setattr("celery.current_app.send_task", fail_with(RuntimeError("nobody expected it")))
    send_nudge(1)


def test_the_counts_are_stored_at_the_next_turn_after_any_error():
    Reporter("web")._attempt(fail_with(RuntimeError("nobody expected it")))


def test_waiting_callers_are_woken_after_any_error(monkeypatch):
    waiters = CallWaiters(1)
    answers = iter([["a"], ["a"], []])
    monkeypatch.setattr(waiters, "_list_awaited", lambda: next(answers))
    monkeypatch.setattr(waiters, "_set_ended", fail_with(RuntimeError("nobody expected it")))
    monkeypatch.setattr("triggers.hook.waiting.time.sleep", lambda seconds: None)
    monkeypatch.setattr("triggers.hook.waiting.connection.close", lambda: None)
    waiters._poll()
    assert next(answers, "all asked") == "all asked"

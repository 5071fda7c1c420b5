"""Threads that a process needs: none ends by an exception, and one that hangs is found out."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError

from clusters import steady
from clusters.steady import Pulse, run_safely

ERRORS = [DatabaseError("away"), ImproperlyConfigured("a key"), RuntimeError("nobody expected it"), KeyError("x")]


@pytest.fixture(autouse=True)
def no_connection(monkeypatch):
    monkeypatch.setattr(steady.connection, "close", lambda: None)


def fail_with(error):
    def fail(*_, **__):
        raise error

    return fail


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_a_chore_may_raise_anything(error):
    run_safely(fail_with(error))


class TestPulse:
    @pytest.fixture
    def now(self, monkeypatch):
        now = [100.0]
        monkeypatch.setattr(steady.time, "monotonic", lambda: now[0])
        return now

    def test_a_thread_is_silent_when_its_sign_is_overdue(self, now):
        pulse = Pulse()
        pulse.beat("sweep", within=10)
        pulse.beat("poll", within=30)
        now[0] = 109.0
        assert pulse.list_silent() == []
        now[0] = 111.0
        assert pulse.list_silent() == ["sweep"]
        pulse.beat("sweep", within=10)
        assert pulse.list_silent() == []

    def test_one_that_rests_owes_none(self, now):
        pulse = Pulse()
        pulse.beat("messenger", within=10)
        pulse.rest("messenger")
        now[0] = 1000.0
        assert pulse.list_silent() == []

"""Nudges of both forms reach the queue of an application."""

import uuid

import pytest
from celery import current_app

from triggers import tasks
from triggers.calls.nudges import NUDGE_TASK, publish_nudge
from triggers.run import runner
from triggers.tests.factories import TriggerCallFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def nudged(monkeypatch):
    """The ids of the applications whose next call was to run."""
    ids: list[int] = []
    monkeypatch.setattr(runner, "run_next_call", ids.append)
    return ids


def test_a_nudge_names_an_application(nudged):
    tasks.nudge(7)
    assert nudged == [7]


def test_a_nudge_of_the_previous_version_names_a_call(nudged):
    call = TriggerCallFactory()
    tasks.run_call(str(call.pk))
    tasks.run_call(str(uuid.uuid4()))  # the call was pruned meanwhile
    assert nudged == [call.application_id]


def test_a_nudge_is_published_under_the_name_that_workers_know(monkeypatch):
    sent = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: sent.append((name, args)))
    publish_nudge(7)
    assert sent == [(NUDGE_TASK, (7,))]
    assert (tasks.nudge.name, tasks.run_call.name) == (NUDGE_TASK, "triggers.run_call")

"""Who waits for the broker: nobody who makes a call."""

import threading

import pytest

from triggers.calls import nudges
from triggers.calls.accept import accept_call
from triggers.calls.nudges import Messenger, publish_nudge
from triggers.tests.calling import request_of
from triggers.tests.factories import TriggerFactory


class HungBroker:
    """A broker that takes a message when `is_released` is set."""

    def __init__(self):
        self.is_released, self.is_asked = threading.Event(), threading.Event()
        self.sent = []

    def send_task(self, name, args, **options):
        self.is_asked.set()
        assert self.is_released.wait(60)
        self.sent.append(args[0])


@pytest.fixture
def broker(settings, monkeypatch):
    settings.BROKER_URL = "redis://queue.example.com"
    hung = HungBroker()
    monkeypatch.setattr(nudges.current_app, "send_task", hung.send_task)
    monkeypatch.setattr(nudges, "messenger", Messenger(nudges.send_nudge))
    yield hung
    hung.is_released.set()
    nudges.messenger.finish()


def ends(work):
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(10)
    return not thread.is_alive()


def test_a_broker_that_hangs_holds_up_nobody(broker):
    assert ends(lambda: publish_nudge(1))
    assert broker.is_asked.wait(10)
    assert ends(lambda: [publish_nudge(application_id) for application_id in (2, 3, 2, 1)])
    assert broker.sent == []
    broker.is_released.set()
    nudges.messenger.finish()
    assert broker.sent == [1, 2, 3, 1]  # one that waits is not added again; one that is being sent may be too old


@pytest.mark.django_db(transaction=True)
def test_a_call_is_accepted_while_the_broker_hangs(broker):
    trigger = TriggerFactory()
    accepted = []
    assert ends(lambda: accepted.append(accept_call(request_of(trigger))))
    assert broker.is_asked.wait(10)
    assert trigger.calls.get() == accepted[0]


def test_a_broker_that_refuses_ends_nothing(broker, monkeypatch):
    failures = [OSError("refused"), ZeroDivisionError()]

    def fail_first(name, args, **options):
        if failures:
            raise failures.pop(0)
        broker.sent.append(args[0])

    monkeypatch.setattr(nudges.current_app, "send_task", fail_first)
    for application_id in (1, 2, 3):
        publish_nudge(application_id)
    nudges.messenger.finish()
    assert broker.sent == [3]


def test_a_process_that_ends_waits_for_the_broker_for_a_moment_only(broker, monkeypatch):
    monkeypatch.setattr(nudges, "FINISH_SECONDS", 0.01)
    publish_nudge(1)
    assert broker.is_asked.wait(10)
    assert ends(nudges.messenger.finish)


def test_the_embedded_broker_gets_a_message_at_once(monkeypatch):
    sent = []
    monkeypatch.setattr(nudges.current_app, "send_task", lambda name, args, **options: sent.append(args[0]))
    publish_nudge(1)
    assert sent == [1]

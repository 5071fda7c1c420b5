import pytest

from triggers.calls.accept import accept_call
from triggers.calls.queue import QueueFull
from triggers.models import News, Notification
from triggers.notifications import full_queues as module
from triggers.notifications.full_queues import full_queues
from triggers.tests.calling import request_of
from triggers.tests.factories import NotificationRuleFactory, TriggerFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock(monkeypatch):
    times = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: times[0])
    return times


@pytest.fixture
def refuse(settings, published):
    trigger = TriggerFactory()
    settings.HOOK_TRIGGER_QUEUE_LIMIT = 0

    def refuse(number=1):
        for _ in range(number):
            with pytest.raises(QueueFull):
                accept_call(request_of(trigger))

    return refuse


def sentences():
    return [each.facts["sentence"] for each in Notification.objects.order_by("pk")]


def test_refused_calls_are_one_news_a_minute(refuse, clock):
    NotificationRuleFactory(news=News.QUEUE_FULL)
    refuse(5)
    full_queues.store()
    assert sentences() == ["0 calls of this trigger are already waiting. 5 calls were refused."]
    refuse(2)
    full_queues.store()
    assert len(sentences()) == 1
    clock[0] += 60
    full_queues.store()
    assert sentences()[1:] == ["0 calls of this trigger are already waiting. 2 calls were refused."]
    assert Notification.objects.first().application is not None


def test_a_refused_caller_costs_no_query_more(refuse, django_assert_num_queries, clock):
    refuse(3)
    with django_assert_num_queries(2):  # the application, and the rules
        full_queues.store()
    with django_assert_num_queries(0):
        full_queues.store()
    clock[0] += 60
    full_queues.store()
    assert full_queues._refused == {}


def test_what_is_kept_in_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "KEPT", 2)
    for application_id in range(5):
        full_queues.note(application_id, "Full.")
    assert len(full_queues._refused) == 2

"""A link that is about to expire is news a week and a day before, each once."""

from datetime import timedelta

import pytest
from django.utils import timezone

from triggers.episodes.links import LinkExpiring
from triggers.episodes.tracking import follow
from triggers.models import Notification, NotificationChannel, NotificationRule, Trigger
from triggers.tests.factories import TriggerFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def channel():
    made = NotificationChannel.objects.create(name="duty", kind="webhook")
    NotificationRule.objects.create(channel=made, news="link_expires")


def make_trigger(left, age=timedelta(days=90), **fields):
    trigger = TriggerFactory(expires_at=timezone.now() + left, **fields)
    Trigger.objects.filter(pk=trigger.pk).update(created_at=timezone.now() - age)
    return trigger


def look(times=3):
    for _ in range(times):
        follow(LinkExpiring(), timezone.now())
    return Notification.objects.count()


@pytest.mark.parametrize(("days", "number"), [(8, 0), (6.9, 1), (1.1, 1), (0.9, 1)], ids=["8", "6.9", "1.1", "0.9"])
def test_within_a_week_and_within_a_day(days, number):
    make_trigger(timedelta(days=days))
    assert look() == number


def test_both_stages_are_reported_once_each():
    trigger = make_trigger(timedelta(days=6))
    look()
    Trigger.objects.update(expires_at=timezone.now() + timedelta(hours=20))
    assert look(5) == 2
    news = Notification.objects.order_by("-pk")[0]
    assert news.facts["sentence"].startswith(f"The link of the trigger {trigger} of ")
    assert news.application_id == trigger.application_id


def test_a_trigger_for_a_short_time_is_no_news_from_its_first_day():
    make_trigger(timedelta(days=3), age=timedelta(hours=1))
    make_trigger(timedelta(hours=2), age=timedelta(minutes=5))
    assert look() == 0


def test_another_date_is_news_when_it_comes():
    make_trigger(timedelta(days=6))
    look()
    Trigger.objects.update(expires_at=timezone.now() + timedelta(days=30))
    assert look() == 1
    Trigger.objects.update(expires_at=timezone.now() + timedelta(days=5))
    assert look() == 2


def test_a_disabled_and_an_expired_trigger_are_no_news():
    make_trigger(timedelta(days=2), enabled=False)
    make_trigger(timedelta(days=-1))
    assert look() == 0


def test_no_secret_is_said():
    trigger = make_trigger(timedelta(days=2))
    look()
    facts = str(Notification.objects.get().facts)
    assert trigger.secret not in facts
    assert trigger.public_id not in facts

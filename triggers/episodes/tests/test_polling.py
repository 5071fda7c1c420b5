"""A registry that cannot be polled for an hour is news once."""

from datetime import timedelta

import pytest

from triggers.episodes.polling import forget_unpolled, note_polled
from triggers.models import Episode, Notification, NotificationChannel, NotificationRule

pytestmark = pytest.mark.django_db
HOST, PROBLEM = "registry.example.com", "The registry does not answer."


@pytest.fixture(autouse=True)
def channel():
    made = NotificationChannel.objects.create(name="duty", kind="webhook")
    NotificationRule.objects.create(channel=made, news="registry_away")


def let_pass(time):
    for name in ("began_at", "seen_at"):
        for episode in Episode.objects.all():
            Episode.objects.filter(pk=episode.pk).update(**{name: getattr(episode, name) - time})


def test_an_hour_of_failures_is_reported_once():
    note_polled(HOST, PROBLEM)
    let_pass(timedelta(minutes=59))
    note_polled(HOST, PROBLEM)
    assert not Notification.objects.exists()
    let_pass(timedelta(minutes=2))
    for _ in range(3):
        note_polled(HOST, PROBLEM)
    facts = Notification.objects.get().facts
    assert facts["subject"] == HOST
    assert facts["sentence"].startswith(f"{HOST} cannot be polled since ")
    assert facts["sentence"].endswith(PROBLEM)


def test_an_answer_in_between_ends_it():
    note_polled(HOST, PROBLEM)
    let_pass(timedelta(minutes=50))
    note_polled(HOST, "")
    note_polled(HOST, PROBLEM)
    let_pass(timedelta(minutes=50))
    note_polled(HOST, PROBLEM)
    assert not Notification.objects.exists()


def test_after_an_answer_another_hour_is_news_again():
    for _ in range(2):
        note_polled(HOST, PROBLEM)
        let_pass(timedelta(hours=2))
        note_polled(HOST, PROBLEM)
        note_polled(HOST, "")
    assert Notification.objects.count() == 2


def test_a_registry_that_nobody_polls_is_forgotten():
    note_polled(HOST, PROBLEM)
    forget_unpolled()
    assert Episode.objects.exists()
    let_pass(timedelta(days=4))
    forget_unpolled()
    assert not Episode.objects.exists()

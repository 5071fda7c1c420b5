"""What was sent: the list, one message, and sending it again."""

import pytest

from clusters.models import AuditEntry
from console.pages.notifications import sent as sent_views
from console.pages.tests.reading import text_of
from triggers.models import NotificationChannel, NotificationDelivery

pytestmark = pytest.mark.django_db


def shown_at(reader, query=""):
    return [row.pk for row in reader.get(f"/notifications/sent/{query}").context["sent"]]


def test_the_list_is_filtered_and_continues(reader, fleet, monkeypatch):
    joined = NotificationDelivery.objects.get(status="joined")
    assert shown_at(reader) == [joined.pk, fleet.sent.pk]
    assert shown_at(reader, "?status=failed") == [fleet.sent.pk]
    assert shown_at(reader, f"?channel={fleet.channel.pk}&status=joined") == [joined.pk]
    assert shown_at(reader, "?channel=999") == []
    assert shown_at(reader, "?channel=x&status=y&before=z") == [joined.pk, fleet.sent.pk]
    monkeypatch.setattr(sent_views, "PAGE_SIZE", 1)
    assert f"before={joined.pk}" in text_of(reader.get("/notifications/sent/"))
    assert shown_at(reader, f"?before={joined.pk}") == [fleet.sent.pk]


def test_a_message_shows_answer_attempts_and_what_was_joined(reader, fleet):
    text = text_of(reader.get(f"/notifications/sent/{fleet.sent.pk}/"))
    assert fleet.sent.notification.webhook_id in text
    assert "It cannot be pulled." in text
    assert "Sent with it" in text
    joined = NotificationDelivery.objects.get(status="joined")
    assert f"/notifications/sent/{fleet.sent.pk}/" in text_of(reader.get(f"/notifications/sent/{joined.pk}/"))


def test_a_message_is_sent_again_with_its_id(reader, fleet):
    response = reader.post(f"/notifications/sent/{fleet.sent.pk}/again/")
    assert response["Location"] == f"/notifications/sent/{fleet.sent.pk}/"
    fleet.sent.refresh_from_db()
    assert (fleet.sent.status, fleet.sent.attempts) == ("waiting", 0)
    entry = AuditEntry.objects.get(action="notification.send")
    assert (entry.target, entry.details) == (fleet.channel.name, {"news": "Failed or rolled back"})


def test_of_a_joined_message_the_whole_is_sent_again(reader, fleet):
    joined = NotificationDelivery.objects.get(status="joined")
    response = reader.post(f"/notifications/sent/{joined.pk}/again/")
    assert response["Location"] == f"/notifications/sent/{fleet.sent.pk}/"


def test_nothing_is_sent_over_a_channel_that_is_off(reader, fleet):
    NotificationChannel.objects.update(enabled=False)
    response = reader.post(f"/notifications/sent/{fleet.sent.pk}/again/", follow=True)
    assert "is turned off. Turn it on, and send again." in text_of(response)
    fleet.sent.refresh_from_db()
    assert fleet.sent.status == "failed"
    assert not AuditEntry.objects.filter(action="notification.send").exists()


def test_an_empty_list_leads_to_the_channels(reader):
    assert "Nothing was sent yet." in text_of(reader.get("/notifications/sent/"))

"""The API of channels, their rules, and what was sent."""

import json

import pytest
from rest_framework.test import APIClient

from clusters.models import AuditEntry
from clusters.tests.factories import ApplicationFactory
from triggers.models import NotificationChannel, NotificationDelivery

pytestmark = pytest.mark.django_db

PATH = "/api/v1/channels/"
NTFY = {
    "name": "duty",
    "kind": "ntfy",
    "configuration": {"server": "https://ntfy.example.com", "topic": "alerts", "token": "tk_planted"},
}


@pytest.fixture
def api(admin_user):
    client = APIClient()
    client.force_authenticate(admin_user)
    return client


@pytest.fixture
def channel(api):
    assert api.post(PATH, NTFY, format="json").status_code == 201
    return NotificationChannel.objects.get()


def test_a_channel_is_added_and_shows_no_secret(api, channel):
    for answer in (api.get(PATH).json()["results"][0], api.get(f"{PATH}{channel.pk}/").json()):
        assert "planted" not in json.dumps(answer)
        assert answer["configuration"] == {"server": "https://ntfy.example.com", "topic": "alerts", "ca": ""}
        assert (answer["secrets"], answer["target"]) == (["token"], "alerts at ntfy.example.com")
        assert [rule["news"] for rule in answer["rules"]] == ["failed", "works_again"]
    assert "planted" not in json.dumps(list(AuditEntry.objects.values_list("details", flat=True)))


def test_a_webhooks_key_is_in_the_answer_that_made_it(api):
    body = {"name": "program", "kind": "webhook", "configuration": {"url": "https://hooks.example.com/in"}}
    added = api.post(PATH, body, format="json").json()
    assert added["signing_key"].startswith("whsec_")
    assert "signing_key" not in api.get(f"{PATH}{added['id']}/").json()
    renewed = api.post(f"{PATH}{added['id']}/key/").json()["signing_key"]
    assert renewed != added["signing_key"]
    assert AuditEntry.objects.filter(action="channel.key").count() == 1


def test_other_kinds_have_no_key(api, channel):
    assert api.post(f"{PATH}{channel.pk}/key/").status_code == 400


def test_what_is_left_out_of_a_change_stays(api, channel):
    answer = api.patch(f"{PATH}{channel.pk}/", {"configuration": {"topic": "others"}}, format="json")
    assert answer.status_code == 200
    channel.refresh_from_db()
    assert (channel.values["server"], channel.values["topic"]) == ("https://ntfy.example.com", "others")
    assert channel.values["token"] == "tk_planted"
    api.patch(f"{PATH}{channel.pk}/", {"configuration": {"token": None}, "name": "night"}, format="json")
    channel.refresh_from_db()
    assert (channel.values["token"], channel.name) == ("", "night")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"configuration": {"server": "https://evil.example.com"}}, "token"),
        ({"configuration": {"topic": ""}}, "topic"),
        ({"configuration": {"colour": "red"}}, "colour"),
        ({"configuration": {"topic": {"a": 1}}}, "topic"),
        ({"kind": "gotify"}, "kind"),
        ({"rules": [{"news": "rumours"}]}, "news"),
        ({"rules": [{"news": "failed", "cluster": 999}]}, "cluster"),
    ],
    ids=["elsewhere", "empty", "unknown", "object", "kind", "news", "cluster"],
)
def test_what_is_wrong_is_said_at_its_field(api, channel, change, where):
    answer = api.patch(f"{PATH}{channel.pk}/", change, format="json")
    assert (answer.status_code, f'"{where}"' in answer.content.decode()) == (400, True)
    before = channel.values
    channel.refresh_from_db()
    assert channel.values == before


def test_rules_are_replaced_as_a_whole(api, channel):
    application = ApplicationFactory()
    rules = [
        {"news": "failed", "cluster": application.cluster_id, "application": None},
        {"news": "crashing", "cluster": None, "application": application.pk},
        {"news": "crashing", "application": application.pk},
    ]
    answer = api.patch(f"{PATH}{channel.pk}/", {"rules": rules}, format="json")
    assert sorted(answer.json()["rules"], key=str) == sorted(rules[:2], key=str)
    assert sorted(api.get(f"{PATH}{channel.pk}/").json()["rules"], key=str) == sorted(rules[:2], key=str)
    both = [{"news": "failed", "cluster": application.cluster_id, "application": application.pk}]
    assert api.patch(f"{PATH}{channel.pk}/", {"rules": both}, format="json").status_code == 400
    api.patch(f"{PATH}{channel.pk}/", {"rules": []}, format="json")
    assert not channel.rules.exists()


def test_a_channel_is_turned_off_and_on(api, channel):
    for enabled in (False, True):
        answer = api.patch(f"{PATH}{channel.pk}/", {"enabled": enabled}, format="json")
        assert answer.json()["enabled"] is enabled
    actions = AuditEntry.objects.filter(action__in=["channel.on", "channel.off"]).order_by("pk")
    assert [entry.action for entry in actions] == ["channel.off", "channel.on"]


def test_a_test_is_sent_and_can_be_read(api, channel):
    sent = api.post(f"{PATH}{channel.pk}/test/")
    assert (sent.status_code, sent.json()["status"], sent.json()["news"]) == (202, "waiting", "test")
    path = f"/api/v1/notifications/{sent.json()['id']}/"
    assert api.get(path).json()["message_id"] == sent.json()["message_id"]
    NotificationDelivery.objects.update(status="failed", attempts=6)
    assert api.get("/api/v1/notifications/", {"status": "failed", "channel": channel.pk}).json()["results"]
    assert not api.get("/api/v1/notifications/", {"status": "delivered"}).json()["results"]
    assert api.get("/api/v1/notifications/", {"status": "lost"}).status_code == 400
    again = api.post(f"{path}send-again/")
    assert (again.status_code, again.json()["status"], again.json()["attempts"]) == (202, "waiting", 0)


def test_nothing_is_sent_again_over_a_channel_that_is_off(api, channel):
    sent = api.post(f"{PATH}{channel.pk}/test/").json()
    NotificationDelivery.objects.get(pk=sent["id"])
    channel.deliveries.get().notification.__class__.objects.update(news="failed")
    NotificationChannel.objects.update(enabled=False)
    answer = api.post(f"/api/v1/notifications/{sent['id']}/send-again/")
    assert (answer.status_code, "is turned off" in answer.json()["detail"]) == (409, True)


def test_a_deleted_channel_leaves_a_line(api, channel):
    assert api.delete(f"{PATH}{channel.pk}/").status_code == 204
    assert AuditEntry.objects.get(action="channel.delete").target == "duty"


def test_a_commit_status_has_no_rules(api):
    configuration = {"forge": "gitea", "server": "https://git.example.com", "token": "tk_planted"}
    body = {"name": "commits", "kind": "commit", "configuration": configuration}
    assert api.post(PATH, body | {"rules": [{"news": "failed"}]}, format="json").status_code == 400
    added = api.post(PATH, body, format="json").json()
    assert (added["rules"], added["target"]) == ([], "any repository at git.example.com")

"""Channels' pages: what is stored and never shown, what is sent as a test, and what is recorded."""

import json

import pytest

from clusters.models import AuditEntry
from console.pages.notifications.views import KIND_HELP
from console.pages.tests.reading import text_of
from triggers.models import ChannelKind, NotificationChannel, NotificationDelivery, NotificationRule
from triggers.notifications.kinds import list_fields

pytestmark = pytest.mark.django_db

NTFY = {"name": "duty", "server": "https://ntfy.example.com", "topic": "alerts", "token": "tk_planted", "ca": ""}
MAIL = {
    "name": "night shift",
    "host": "smtp.example.com",
    "port": "587",
    "tls": "starttls",
    "username": "ann",
    "password": "planted password",
    "sender": "windlass@example.com",
    "recipients": "ann@example.com\nbob@example.com",
    "ca": "",
}


def add(reader, kind, body):
    return reader.post(f"/notifications/channels/new/?kind={kind}", body)


@pytest.fixture
def channel(reader):
    add(reader, "ntfy", NTFY)
    return NotificationChannel.objects.get()


def last(action):
    entry = AuditEntry.objects.filter(action=action).latest("pk")
    assert "planted" not in json.dumps(entry.details)
    return entry


class TestAdding:
    def test_every_kind_is_offered_and_has_a_form_with_its_fields_alone(self, reader):
        kinds = reader.get("/notifications/channels/new/").context["kinds"]
        assert [value for value, _, _ in kinds] == ChannelKind.values == list(KIND_HELP)
        for kind in ChannelKind.values:
            form = reader.get(f"/notifications/channels/new/?kind={kind}").context["form"]
            assert list(form.fields) == ["name", *(each.name for each in list_fields(kind))]

    def test_a_channel_is_added_with_rules_and_recorded_without_its_secret(self, reader, channel):
        assert channel.values["token"] == "tk_planted"
        assert set(channel.rules.values_list("news", "cluster", "application")) == {
            ("failed", None, None),
            ("works_again", None, None),
        }
        entry = last("channel.add")
        assert (entry.target, entry.details["to"]) == ("duty", "alerts at ntfy.example.com")
        assert entry.details["changes"]["configuration"] == "set"

    @pytest.mark.parametrize(
        ("kind", "change", "wrong"),
        [
            ("ntfy", {"server": "ftp://example.com"}, "server"),
            ("ntfy", {"topic": ""}, "topic"),
            ("ntfy", {"name": ""}, "name"),
            ("mail", {"recipients": "nobody"}, "recipients"),
            ("mail", {"port": "0"}, "port"),
            ("mail", {"tls": "sometimes"}, "tls"),
            ("slack", {"url": "https://example.com/"}, "url"),
        ],
    )
    def test_what_is_wrong_is_said_at_its_field(self, reader, kind, change, wrong):
        body = {"ntfy": NTFY, "mail": MAIL, "slack": {"name": "chat"}}[kind]
        response = add(reader, kind, body | change)
        assert list(response.context["form"].errors) == [wrong]
        assert not NotificationChannel.objects.exists()

    def test_a_name_is_given_once(self, reader, channel):
        assert list(add(reader, "ntfy", NTFY).context["form"].errors) == ["name"]

    def test_what_was_typed_as_a_secret_does_not_come_back(self, reader):
        assert "planted" not in text_of(add(reader, "mail", MAIL | {"host": ""}))

    def test_a_webhooks_key_is_shown_once(self, reader):
        response = add(reader, "webhook", {"name": "program", "url": "https://hooks.example.com/in"})
        key = NotificationChannel.objects.get().values["secret"]
        assert key.startswith("whsec_")
        page = response["Location"]
        assert key in text_of(reader.get(page))
        assert key not in text_of(reader.get(page))
        assert key not in json.dumps(last("channel.add").details)


class TestEditing:
    def test_a_stored_secret_is_in_no_page_and_stays_where_none_is_typed(self, reader, channel):
        page = f"/notifications/channels/{channel.pk}/edit/"
        assert "planted" not in text_of(reader.get(page))
        reader.post(page, NTFY | {"topic": "others", "token": ""})
        channel.refresh_from_db()
        assert (channel.values["topic"], channel.values["token"]) == ("others", "tk_planted")
        assert last("channel.change").details["changes"] == {"configuration": "changed"}

    def test_a_stored_secret_does_not_go_to_another_server(self, reader, channel):
        page = f"/notifications/channels/{channel.pk}/edit/"
        elsewhere = NTFY | {"server": "https://evil.example.com", "token": ""}
        response = reader.post(page, elsewhere)
        assert "Enter this again" in response.context["form"].errors["token"][0]
        channel.refresh_from_db()
        assert channel.values["server"] == "https://ntfy.example.com"
        reader.post(page, elsewhere | {"remove_token": "on"})
        channel.refresh_from_db()
        assert (channel.values["server"], channel.values["token"]) == ("https://evil.example.com", "")

    def test_a_box_removes_a_secret_that_the_kind_can_do_without(self, reader, channel):
        page = f"/notifications/channels/{channel.pk}/edit/"
        reader.post(page, NTFY | {"token": "", "remove_token": "on"})
        channel.refresh_from_db()
        assert channel.values["token"] == ""
        assert "remove_token" not in reader.get(page).context["form"].fields

    def test_a_new_key_is_for_webhooks(self, reader, channel):
        assert reader.post(f"/notifications/channels/{channel.pk}/key/").status_code == 404
        add(reader, "webhook", {"name": "program", "url": "https://hooks.example.com/in"})
        hook = NotificationChannel.objects.get(name="program")
        old = hook.values["secret"]
        page = reader.post(f"/notifications/channels/{hook.pk}/key/")["Location"]
        hook.refresh_from_db()
        new = hook.values["secret"]
        assert new != old
        assert new in text_of(reader.get(page))
        assert new not in text_of(reader.get(page))
        assert last("channel.key").target == "program"


class TestSwitching:
    def test_off_and_on_again(self, reader, channel):
        for value, expected in (("0", False), ("1", True)):
            reader.post(f"/notifications/channels/{channel.pk}/switch/", {"enabled": value})
            channel.refresh_from_db()
            assert channel.enabled is expected
        assert last("channel.off").target == last("channel.on").target == "duty"

    def test_why_it_was_turned_off_is_said_until_it_is_on_again(self, reader, channel):
        NotificationChannel.objects.update(enabled=False, off_reason="It wants no more messages.")
        for page in ("/notifications/", f"/notifications/channels/{channel.pk}/"):
            assert "It wants no more messages." in text_of(reader.get(page))
        reader.post(f"/notifications/channels/{channel.pk}/switch/", {"enabled": "1"})
        channel.refresh_from_db()
        assert (channel.enabled, channel.off_reason) == (True, "")


class TestTesting:
    def test_a_test_is_sent_and_its_page_follows(self, reader, channel):
        response = reader.post(f"/notifications/channels/{channel.pk}/test/")
        sent = NotificationDelivery.objects.get()
        assert response["Location"] == f"/notifications/sent/{sent.pk}/"
        assert (sent.status, sent.notification.news) == ("waiting", "test")
        text = text_of(reader.get(response["Location"]))
        assert "data-poll" in text
        assert "admin" in sent.notification.facts["sentence"]
        assert last("channel.test").target == "duty"
        NotificationDelivery.objects.update(status="failed", problem="The server refused it.", answer_status=403, answer="no")
        text = text_of(reader.get(response["Location"]))
        assert "The server refused it." in text
        assert 'id="message" class="stack" hx-get' not in " ".join(text.split())


class TestDeleting:
    def test_a_channel_goes_with_its_rules_and_what_was_sent(self, reader, channel):
        reader.post(f"/notifications/channels/{channel.pk}/test/")
        assert "2 rules" in text_of(reader.get(f"/notifications/channels/{channel.pk}/delete/"))
        assert reader.post(f"/notifications/channels/{channel.pk}/delete/")["Location"] == "/notifications/"
        assert not NotificationChannel.objects.exists()
        assert not NotificationRule.objects.exists()
        assert not NotificationDelivery.objects.exists()
        assert last("channel.delete").target == "duty"


def test_an_empty_list_offers_the_first_channel(reader):
    assert "No channel yet." in text_of(reader.get("/notifications/"))

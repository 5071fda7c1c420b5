"""A trigger's own page, and what narrows its link."""

from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.models import AuditEntry
from clusters.roles import Role
from clusters.tests.users import make_user
from triggers.models import Decision, Delivery, Trigger
from triggers.tests.factories import DeliveryFactory, TriggerCallFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def trigger(fleet):
    return fleet.trigger


def page_of(trigger, rest=""):
    return f"/triggers/{trigger.pk}/{rest}"


def read(client, trigger, rest=""):
    return client.get(page_of(trigger, rest)).content.decode()


class TestPage:
    def test_it_says_what_narrows_the_link(self, reader, trigger):
        Trigger.objects.filter(pk=trigger.pk).update(
            allowed_addresses="192.0.2.0/24\n2001:db8::1", calls_left=2, calls_a_minute=30, header_only=True
        )
        text = read(reader, trigger)
        for said in ("192.0.2.0/24", "2001:db8::1", "2 are left", "at most 30", "in a header only"):
            assert said in text
        assert trigger.secret not in text

    def test_a_viewer_sees_it_without_the_link_and_without_what_changes_it(self, client, trigger):
        client.force_login(make_user("eve", Role.VIEWER))
        trigger.rotate_secret(timedelta(hours=1))
        text = read(client, trigger)
        assert "Old secret" in text
        for hidden in (
            trigger.secret,
            "How to call it",
            "triggerUrl",
            "End now",
            "Rotate secret",
            "Change what narrows it",
            "Test call",
        ):
            assert hidden not in text

    def test_it_says_until_when_an_old_secret_works_and_who_used_it(self, reader, trigger):
        former = trigger.secret
        assert "Old secret" not in read(reader, trigger)
        trigger.rotate_secret(timedelta(hours=24))
        assert "Nobody has used it since." in read(reader, trigger)
        Trigger.objects.filter(pk=trigger.pk).update(old_secret_used_at=timezone.now(), old_secret_used_from="192.0.2.7")
        text = read(reader, trigger)
        assert "from 192.0.2.7" in text
        assert former not in text
        Trigger.objects.filter(pk=trigger.pk).update(old_secret_ends_at=timezone.now())
        assert "Old secret" not in read(reader, trigger)

    def test_its_calls_continue_on_further_pages(self, reader, trigger):
        now = timezone.now()
        calls = [TriggerCallFactory(trigger=trigger, state="failed", queued_at=now - timedelta(minutes=n)) for n in range(25)]
        first = reader.get(page_of(trigger)).context["call_page"]
        assert len(first.calls) == 20
        second = reader.get(page_of(trigger, f"?before={first.older}")).context["call_page"]
        assert {call.pk for call in calls} <= {call.pk for call in (*first.calls, *second.calls)}
        assert second.older is None

    @pytest.mark.parametrize("target", ["trigger-about", "trigger-state"])
    def test_its_pieces_are_polled_on_their_own(self, reader, trigger, target):
        text = reader.get(page_of(trigger), headers={"HX-Request": "true", "HX-Target": target}).content.decode()
        assert f'id="{target}"' in text
        assert "<html" not in text

    def test_refused_calls_are_seen_by_whoever_may_see_deliveries(self, reader, client, trigger):
        refused = {"trigger": trigger, "registry": None, "decision": Decision.REFUSED, "source": Delivery.Source.TRIGGER}
        DeliveryFactory(**refused, message="The secret is wrong.", repeated=11)
        DeliveryFactory(**refused, message="Long ago.", received_at=timezone.now() - timedelta(days=2))
        for path in (page_of(trigger), "/triggers/", f"/applications/{trigger.application_id}/"):
            assert "The secret is wrong." in reader.get(path).content.decode()
        assert "12 refused today" in reader.get("/triggers/").content.decode()
        client.force_login(make_user("nina", Role.VIEWER, trigger.application.cluster))
        assert read(client, trigger)


class TestCallers:
    def call_from(self, trigger, *addresses):
        trigger.calls.all().delete()
        for address in addresses:
            TriggerCallFactory(trigger=trigger, source_address=address)

    def test_the_last_callers_are_listed_with_allow(self, reader, trigger):
        self.call_from(trigger, "192.0.2.7", "192.0.2.7", "198.51.100.1")
        callers = reader.get(page_of(trigger)).context["last_callers"].callers
        assert {(caller.address, caller.number, caller.is_allowed) for caller in callers} == {
            ("192.0.2.7", 2, False),
            ("198.51.100.1", 1, False),
        }

    def test_allow_adds_an_address_and_is_recorded(self, reader, trigger):
        for address in ("192.0.2.7", "::ffff:198.51.100.1", "192.0.2.7"):
            assert reader.post(page_of(trigger, "allow/"), {"address": address}).status_code == 302
        trigger.refresh_from_db()
        assert trigger.allowed_addresses == "192.0.2.7\n198.51.100.1"
        entry = AuditEntry.objects.filter(action="trigger.change").order_by("pk")[1]
        assert entry.details["changes"] == {"allowed_addresses": ["192.0.2.7", "192.0.2.7\n198.51.100.1"]}

    @pytest.mark.parametrize("address", ["", "nowhere", "\0"])
    def test_what_is_no_address_changes_nothing(self, reader, trigger, address):
        assert reader.post(page_of(trigger, "allow/"), {"address": address}).status_code == 302
        trigger.refresh_from_db()
        assert trigger.allowed_addresses == ""

    @pytest.mark.parametrize(
        ("addresses", "trusted", "warns"),
        [
            (["10.0.0.9", "10.0.0.9"], [], True),
            (["10.0.0.9"], ["10.0.0.0/8"], False),
            (["10.0.0.9", "10.0.0.8"], [], False),
            (["8.8.8.8"], [], False),
            ([], [], False),
        ],
    )
    def test_one_private_address_may_be_a_proxy(self, reader, trigger, settings, addresses, trusted, warns):
        settings.TRUSTED_PROXIES = trusted
        self.call_from(trigger, *addresses)
        for rest in ("", "narrow/"):
            assert ("WINDLASS_TRUSTED_PROXIES" in read(reader, trigger, rest)) == warns


class TestNarrowing:
    def test_the_dialog_saves_what_differs_and_records_it(self, reader, trigger):
        body = {
            "allowed_addresses": "192.0.2.7",
            "calls_left": "1",
            "expires_at": "",
            "calls_a_minute": "",
            "header_only": "on",
        }
        answer = reader.post(page_of(trigger, "narrow/"), body)
        assert (answer.status_code, answer["Location"]) == (302, page_of(trigger))
        changes = AuditEntry.objects.get(action="trigger.change").details["changes"]
        assert changes == {"allowed_addresses": ["", "192.0.2.7"], "calls_left": [None, 1], "header_only": [False, True]}

    def test_allow_adds_a_caller_to_the_form_and_saves_nothing_yet(self, reader, trigger):
        TriggerCallFactory(trigger=trigger, source_address="192.0.2.7")
        body = {"allowed_addresses": "198.51.100.1", "calls_left": "5", "allow": "192.0.2.7"}
        page = reader.post(page_of(trigger, "narrow/"), body)
        assert page.context["form"]["allowed_addresses"].value() == "198.51.100.1\n192.0.2.7"
        assert 'value="5"' in page.content.decode()
        assert [caller.is_allowed for caller in page.context["last_callers"].callers] == [True]
        trigger.refresh_from_db()
        assert (trigger.allowed_addresses, trigger.calls_left) == ("", None)

    def test_a_wrong_value_changes_nothing(self, reader, trigger):
        answer = reader.post(page_of(trigger, "narrow/"), {"allowed_addresses": "nowhere", "calls_left": "1"})
        assert answer.status_code == 200
        assert "is neither an address nor a network" in answer.content.decode()
        trigger.refresh_from_db()
        assert trigger.calls_left is None


class TestRotation:
    def test_the_old_secret_works_on_for_as_long_as_was_chosen(self, reader, client, trigger):
        former = trigger.secret
        reader.post(page_of(trigger, "rotate/"), {"overlap": "168"})
        trigger.refresh_from_db()
        assert trigger.old_secret == former
        left = trigger.old_secret_ends_at - timezone.now()
        assert timedelta(days=6, hours=23) < left <= timedelta(days=7)
        entry = AuditEntry.objects.get(action="trigger.rotate")
        assert entry.details["old_secret_ends"] == trigger.old_secret_ends_at.isoformat(timespec="seconds")
        assert former not in str(entry.details)

    def test_rotating_again_asks_first(self, reader, trigger):
        trigger.rotate_secret(timedelta(hours=1))
        secret, oldest = trigger.secret, trigger.old_secret
        answer = reader.post(page_of(trigger, "rotate/"), {"overlap": "24"})
        assert answer.status_code == 200
        assert "The secret of an earlier rotation still works" in answer.content.decode()
        trigger.refresh_from_db()
        assert (trigger.secret, trigger.old_secret) == (secret, oldest)
        reader.post(page_of(trigger, "rotate/"), {"overlap": "24", "drop_old": "on"})
        trigger.refresh_from_db()
        assert trigger.old_secret == secret

    def test_end_now_ends_it_once(self, reader, trigger):
        trigger.rotate_secret(timedelta(hours=1))
        for _ in range(2):
            assert reader.post(page_of(trigger, "end-old-secret/")).status_code == 302
        trigger.refresh_from_db()
        assert not trigger.has_old_secret
        assert AuditEntry.objects.filter(action="trigger.end_old").count() == 1


class TestNotice:
    @pytest.mark.parametrize("over", [{"calls_left": 0}, {"expires_at": timezone.now() + timedelta(days=6)}])
    def test_an_end_is_seen_at_the_trigger_in_the_panel_and_in_the_overview(self, reader, trigger, over):
        TriggerCallFactory(trigger=trigger, state="failed")
        paths = (page_of(trigger), "/triggers/", f"/applications/{trigger.application_id}/", "/")
        for path in paths:
            assert "only people can call it" not in reader.get(path).content.decode().lower()
        Trigger.objects.filter(pk=trigger.pk).update(**over)
        for path in paths:
            assert "only people can call it" in reader.get(path).content.decode().lower(), path

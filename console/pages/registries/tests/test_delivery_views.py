"""Deliveries: what the list shows and finds, page by page, what the page of one shows, and deciding again."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from clusters import badges
from clusters.models import AuditEntry
from clusters.roles import Role
from clusters.tests.users import make_user
from console.pages.registries import deliveries
from triggers.models import Decision, Delivery
from triggers.tests.factories import DeliveryFactory, DeliveryLineFactory

pytestmark = pytest.mark.django_db


def sign_in(user):
    client = Client()
    client.force_login(user)
    return client


def shown(client, **query):
    return client.get("/deliveries/", query).context["page"].deliveries


def add_delivery(fleet, minutes, **fields):
    moment = timezone.now() - timedelta(minutes=minutes)
    return DeliveryFactory(**{"registry": fleet.registry, "received_at": moment} | fields)


class TestList:
    def test_every_decision_has_a_badge_of_its_own(self):
        words = [badges.BADGES[f"delivery-{value}"][2] for value in Decision.values]
        assert len(set(words)) == len(Decision.values)

    def test_a_row_shows_the_most_telling_line(self, reader, fleet):
        delivery = add_delivery(fleet, 0, decision=Decision.TRIGGERED)
        for decision, tag in ((Decision.IMAGE, "1"), (Decision.TRIGGERED, "2"), (Decision.TAG, "3")):
            DeliveryLineFactory(delivery=delivery, decision=decision, tag=tag)
        row = shown(reader)[0]
        assert (row.pk, row.line.tag, row.others) == (delivery.pk, "2", 2)

    def test_a_row_and_its_page_say_how_many_were_counted_on_it(self, reader, fleet):
        more = {"repeated": 412, "repeated_at": timezone.now()}
        delivery = add_delivery(fleet, 0, decision=Decision.SIGNATURE, message="The signature is wrong.", **more)
        for address in ("/deliveries/", f"/registries/{fleet.registry.pk}/"):
            page = reader.get(address).content.decode()
            assert 'title="and 412 more in the same minute">+412</span>' in page
        page = reader.get(f"/deliveries/{delivery.pk}/").content.decode()
        assert "And 412 more in the same minute with the same decision, which were only counted" in page
        assert "412 more in the same minute, the last one" in page

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"sender": "quay"}, ["quay"]),
            ({"decision": "bad_signature"}, ["refused"]),
            ({"decision": "no such"}, ["quay", "refused", "harbor"]),
            ({"q": "EXAMPLE.com/team/wo"}, ["quay"]),
            ({"q": "elsewhere"}, []),
            ({"q": "\0"}, ["quay", "refused", "harbor"]),
            ({"registry": "x"}, ["quay", "refused", "harbor"]),
            ({"before": "x"}, ["quay", "refused", "harbor"]),
        ],
    )
    def test_filters(self, reader, fleet, query, found):
        quay = add_delivery(fleet, 1, sender="quay", decision=Decision.UNCHANGED)
        DeliveryLineFactory(delivery=quay, image="registry.example.com/team/worker")
        refused = add_delivery(fleet, 2, decision=Decision.SIGNATURE)
        Delivery.objects.filter(pk=fleet.delivery.pk).update(received_at=timezone.now() - timedelta(minutes=3))
        names = {quay.pk: "quay", refused.pk: "refused", fleet.delivery.pk: "harbor"}
        assert [names[row.pk] for row in shown(reader, **query)] == found

    def test_by_registry_and_application(self, reader, fleet):
        own, application = fleet.delivery, fleet.application
        fleet.add_application()
        assert shown(reader, registry=own.registry_id) == [own]
        assert shown(reader, application=application.pk) == [own]
        assert shown(reader, q=application.name.upper()) == [own]
        text = reader.get("/deliveries/", {"application": application.pk}).content.decode()
        assert f'name="application" value="{application.pk}"' in text

    def test_pages_follow_each_other_without_a_gap(self, reader, fleet, monkeypatch):
        monkeypatch.setattr(deliveries, "PAGE_SIZE", 3)
        moment = timezone.now() - timedelta(minutes=1)
        for _ in range(7):
            DeliveryFactory(registry=fleet.registry, received_at=moment)
        seen, before = [], ""
        while before is not None:
            page = reader.get("/deliveries/", {"before": before}).context["page"]
            seen += [row.pk for row in page.deliveries]
            before = page.older
        assert seen == list(Delivery.objects.order_by("-received_at", "-pk").values_list("pk", flat=True))

    def test_a_search_continues_where_it_stopped(self, reader, fleet, monkeypatch):
        monkeypatch.setattr(deliveries, "SEARCHED", 2)
        for minutes in range(1, 6):
            add_delivery(fleet, minutes, sender="gitea")
        wanted = add_delivery(fleet, 9, sender="quay")
        seen, before, pages = [], "", 0
        while before is not None:
            response = reader.get("/deliveries/", {"sender": "quay", "before": before})
            page, pages = response.context["page"], pages + 1
            assert page.older is None or "Search older" in response.content.decode()
            seen += page.deliveries
            before = page.older
        assert (seen, pages) == ([wanted], 4)

    def test_an_empty_list_says_what_will_be_listed(self, reader):
        assert "No deliveries yet." in reader.get("/deliveries/").content.decode()


class TestPage:
    def test_each_line_says_what_was_decided_and_why(self, reader, fleet):
        text = reader.get(f"/deliveries/{fleet.delivery.pk}/").content.decode()
        for part in ("Triggered", "The tag 1.2 runs here.", "No trigger is subscribed to it.", "203.0.113.7", "PUSH_ARTIFACT"):
            assert part in text
        assert f'data-copy="{"sha256:" + "3" * 64}"' in text
        assert f'href="/calls/{fleet.call.pk}/"' in text
        assert f'href="/triggers/{fleet.trigger.pk}/"' in text

    def test_names_that_the_reader_may_not_see_are_left_out(self, fleet):
        """A reader may see deliveries but no cluster."""
        user = User.objects.create_user("auditor")
        user.user_permissions.add(Permission.objects.get(codename="view_delivery"))
        client = sign_in(user)
        own_link = add_delivery(fleet, 0, registry=None, trigger=fleet.trigger, source=Delivery.Source.TRIGGER)
        for path in ("/deliveries/", f"/deliveries/{fleet.delivery.pk}/", f"/deliveries/{own_link.pk}/"):
            text = client.get(path).content.decode()
            assert "PUSH_ARTIFACT" in text or "Why" in text
            assert not [name for name in (str(fleet.trigger), fleet.application.name, str(fleet.call.pk)) if name in text], path
            assert f"/registries/{fleet.registry.pk}/" not in text


class TestReplay:
    @pytest.fixture
    def replayed(self, fleet, monkeypatch):
        """Return a list that records which deliveries are replayed, and by whom."""
        asked = []

        def replay_delivery(delivery, user):
            asked.append((delivery, user.get_username()))
            return DeliveryFactory(source=Delivery.Source.REPLAY, replay_of=delivery, decision=Decision.UNCHANGED)

        monkeypatch.setattr("triggers.pushes.receiving.replay_delivery", replay_delivery)
        return asked

    def test_it_leads_to_the_new_delivery_and_is_recorded(self, reader, fleet, replayed):
        path = f"/deliveries/{fleet.delivery.pk}/"
        assert f'action="{path}replay/"' in reader.get(path).content.decode()
        response = reader.post(f"{path}replay/", follow=True)
        replay = Delivery.objects.get(replay_of=fleet.delivery)
        assert response.redirect_chain == [(f"/deliveries/{replay.pk}/", 302)]
        assert "Decided again: Unchanged." in response.content.decode()
        assert replayed == [(fleet.delivery, "admin")]
        entry = AuditEntry.objects.get(action="delivery.replay")
        assert (entry.target_id, entry.details["replay"]) == (str(fleet.delivery.pk), str(replay.pk))
        assert f"/deliveries/{replay.pk}/" in reader.get(path).content.decode()

    @pytest.mark.parametrize(("everywhere", "status"), [(True, 403), (False, 404)])
    def test_it_takes_a_role_that_calls_triggers_of_all_clusters(self, fleet, replayed, everywhere, status):
        role, cluster = (Role.VIEWER, None) if everywhere else (Role.OPERATOR, fleet.cluster)
        client = sign_in(make_user("asker", role, cluster))
        path = f"/deliveries/{fleet.delivery.pk}/"
        assert client.post(f"{path}replay/").status_code == status
        assert "replay/" not in client.get(path).content.decode()
        assert replayed == []


def test_a_refused_call_shows_its_address_in_the_list_also_without_a_trigger(reader):
    refused = {
        "registry": None,
        "decision": Decision.REFUSED,
        "source": Delivery.Source.TRIGGER,
        "sender": "",
        "event": "GET 404",
    }
    row = DeliveryFactory(**refused, source_address="192.0.2.7", user_agent="curl/8", message="No trigger has this link.")
    for address in ("/deliveries/", f"/deliveries/{row.pk}/"):
        page = reader.get(address).content.decode()
        assert "192.0.2.7" in page
        assert "curl/8" in page

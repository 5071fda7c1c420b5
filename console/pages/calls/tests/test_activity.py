"""The list of all calls: its filters, its pages, its export."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clusters.roles import Role
from clusters.tests.factories import ApplicationFactory, ClusterFactory
from clusters.tests.users import make_user
from console.pages.calls import activity
from triggers.models import CallState, TriggerCall
from triggers.tests.factories import TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db


def add_call(application, age=timedelta(), **fields):
    trigger = application.triggers.first() or TriggerFactory(application=application)
    return TriggerCallFactory(trigger=trigger, queued_at=timezone.now() - age, **{"state": CallState.SUCCEEDED} | fields)


def shown(client, query=""):
    return [call.pk for call in client.get(f"/activity/{query}").context["page"].calls]


def exported(client, query=""):
    response = client.get(f"/activity/export/{query}")
    assert response.streaming
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))


@pytest.fixture
def shop(db):
    return ApplicationFactory(cluster=ClusterFactory(name="harbour"), name="shop")


class TestFilters:
    def test_each_is_in_the_address_and_they_combine(self, reader, shop):
        now, late, old = (add_call(shop, age) for age in (timedelta(), timedelta(hours=3), timedelta(days=3)))
        scaled = add_call(shop, timedelta(days=9), action="scaling", step=1, source="api", state=CallState.FAILED)
        everything = [now.pk, late.pk, old.pk, scaled.pk]
        for query, count in (("", 4), ("?range=hour", 1), ("?range=day", 2), ("?range=week", 3), ("?range=year", 4)):
            assert shown(reader, query) == everything[:count]
        for query in ("?action=scaling", "?source=api", "?state=failed", "?state=failed&source=api&action=scaling&q=SHO"):
            assert shown(reader, query) == [scaled.pk]
        for query in ("?action=scaling&range=week", "?q=other", "?state=active", "?q=shop&state=queued"):
            assert shown(reader, query) == []
            assert "No call matches the search and the filters." in reader.get(f"/activity/{query}").content.decode()

    def test_the_selected_cluster_narrows_page_and_export(self, reader, shop):
        other = ApplicationFactory(cluster=ClusterFactory(name="quay"))
        wanted, _ = add_call(other), add_call(shop)
        assert shown(reader, f"?cluster={other.cluster.uid}") == [wanted.pk]
        assert [row["id"] for row in exported(reader)] == [str(wanted.pk)]  # remembered
        assert len(exported(reader, "?cluster=all")) == 2

    def test_a_span_of_days(self, reader, shop):
        new, old = add_call(shop), add_call(shop, timedelta(days=9))
        day = old.queued_at.astimezone(UTC).date().isoformat()
        assert shown(reader, f"?range=days&since={day}&until={day}") == [old.pk]
        assert shown(reader, f"?range=days&until={day}") == [old.pk]
        assert shown(reader, f"?since={day}&until={day}") == shown(reader, "?range=days&since=x") == [new.pk, old.pk]

    def test_one_trigger_alone(self, reader, shop):
        ours, other = add_call(shop), TriggerCallFactory(trigger=TriggerFactory(application=shop), state=CallState.FAILED)
        elsewhere = add_call(ApplicationFactory(cluster=ClusterFactory(name="quay")))
        reader.get(f"/activity/?cluster={elsewhere.application.cluster.uid}")  # the selected cluster hides nothing of it
        assert shown(reader, f"?trigger={other.trigger_id}") == [other.pk]
        assert shown(reader, f"?trigger={other.trigger_id}&state=succeeded") == []
        assert shown(reader, f"?trigger={other.trigger_id}&q=SHO") == [other.pk]
        assert shown(reader, f"?trigger={other.trigger_id}&q=bakery") == []
        assert [row["id"] for row in exported(reader, f"?trigger={ours.trigger_id}")] == [str(ours.pk)]
        assert "Only calls of" in reader.get(f"/activity/?trigger={ours.trigger_id}").content.decode()

    def test_a_trigger_that_cannot_be_seen_shows_nothing(self, reader, shop):
        call = add_call(shop)
        stranger = Client()
        stranger.force_login(make_user("part", Role.DEPLOYER, ClusterFactory(name="quay")))
        assert shown(stranger, f"?trigger={call.trigger_id}") == []
        assert shown(reader, "?trigger=999999999") == []
        assert "does not exist any longer" in reader.get("/activity/?trigger=999999999").content.decode()

    def test_invalid_values_in_the_address_are_no_filters(self, reader, shop):
        call = add_call(shop)
        for wrong in (
            "state=x",
            "source=x&action=x&range=x",
            "before=x",
            "before=9.9",
            f"before={'9' * 30}.{call.pk.hex}",
            "q=%00",
            "trigger=x",
            f"trigger={'9' * 30}",
        ):
            assert shown(reader, f"?{wrong}") == [call.pk]

    def test_before_any_call_there_is_a_next_step(self, reader, shop):
        assert "No calls yet." in reader.get("/activity/").content.decode()
        assert "There are no older calls." in reader.get(f"/activity/?before=0.{'0' * 32}").content.decode()


class TestPages:
    def walk(self, client, query):
        """Return the calls of all pages, following `older` to the end."""
        pages, before = [], ""
        while True:
            page = client.get(f"/activity/?{query}{before}").context["page"]
            pages.append([call.pk for call in page.calls])
            if not page.older:
                return pages
            before = f"&before={page.older}"

    def test_they_follow_one_another_without_gap_or_repetition(self, reader, shop, monkeypatch):
        monkeypatch.setattr(activity, "PAGE_SIZE", 3)
        calls = [add_call(shop, timedelta(minutes=number)).pk for number in range(8)]
        TriggerCall.objects.filter(pk__in=calls[:5]).update(queued_at=timezone.now())
        pages = self.walk(reader, "")
        assert [len(page) for page in pages] == [3, 3, 2]
        assert sorted(sum(pages, [])) == sorted(calls)

    def test_a_page_searches_so_many_calls_and_says_how_far_back(self, reader, shop, monkeypatch):
        monkeypatch.setattr(activity, "SEARCHED", 4)
        calls = [add_call(shop, timedelta(minutes=number)).pk for number in range(10)]
        TriggerCall.objects.filter(pk__in=[calls[1], calls[9]]).update(state=CallState.FAILED)
        pages = self.walk(reader, "state=failed")
        assert len(pages) > 1
        assert sum(pages, []) == [calls[1], calls[9]]
        assert "Searched back to" in reader.get("/activity/?state=failed").content.decode()

    def test_all_calls_of_few_applications_are_searched(self, reader, shop, monkeypatch):
        monkeypatch.setattr(activity, "SEARCHED", 4)
        rare = ApplicationFactory(cluster=shop.cluster, name="rare")
        wanted = add_call(rare, timedelta(days=1))
        for number in range(10):
            add_call(shop, timedelta(minutes=number))
        page = reader.get("/activity/?q=rare").context["page"]
        assert ([call.pk for call in page.calls], page.older) == ([wanted.pk], None)

    def test_no_page_counts_or_skips_what_it_shows(self, reader, shop):
        for number in range(60):
            add_call(shop, timedelta(minutes=number))
        older = reader.get("/activity/").context["page"].older
        with CaptureQueriesContext(connection) as queries:
            assert len(shown(reader, f"?before={older}")) == 10
        lists = [query["sql"] for query in queries if '"triggers_triggercall"."queued_at"' in query["sql"]]
        assert len(lists) == 1
        assert "COUNT" not in lists[0]
        assert "OFFSET" not in lists[0]


class TestExport:
    def test_it_has_all_that_is_filtered_and_no_formula(self, reader, shop, monkeypatch):
        monkeypatch.setattr(activity, "EXPORT_CHUNK", 2)
        evil = ApplicationFactory(cluster=shop.cluster, name='=HYPERLINK("http://x")')
        first = add_call(evil, user_agent="curl", message="@SUM(1)", state=CallState.FAILED)
        calls = [first, *(add_call(shop, timedelta(minutes=number), state=CallState.FAILED) for number in range(1, 6))]
        add_call(shop)
        rows = exported(reader, "?state=failed")
        assert [row["id"] for row in rows] == [str(call.pk) for call in calls]
        assert (rows[0]["application"], rows[0]["message"]) == ("'" + evil.name, "'@SUM(1)")
        assert (rows[0]["cluster"], rows[0]["call"], rows[0]["started"]) == ("harbour", "Redeploy", "")
        assert datetime.fromisoformat(rows[0]["queued"]).tzinfo
        text = b"".join(reader.get("/activity/export/").streaming_content).decode()
        assert not any(call.trigger.secret in text for call in calls)

    def test_it_has_only_what_the_reader_may_see(self, shop):
        hidden = add_call(ApplicationFactory(name="hidden"))
        seen = add_call(shop)
        make_user("vera", Role.VIEWER, shop.cluster)
        client = Client()
        client.force_login(User.objects.get(username="vera"))
        assert [row["id"] for row in exported(client)] == [str(seen.pk)] == [str(pk) for pk in shown(client)]
        assert exported(client, f"?q=hidden&cluster={hidden.application.cluster.uid}") == []

    def test_it_is_refused_to_those_not_signed_in(self, client):
        assert client.get("/activity/export/")["Location"].startswith("/login/")

"""Lists: how they are sorted and narrowed, what they say of what they hide, and the page states that teach the next step."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.models import Application, Service
from clusters.roles import Role
from clusters.tests.factories import ApplicationFactory, ClusterFactory, ServiceFactory
from clusters.tests.users import make_user
from triggers.models import CallState, TriggerCall
from triggers.tests.factories import TriggerCallFactory, TriggerFactory

LIST = {"HX-Request": "true", "HX-Target": "list"}


def text_of(response):
    return response.content.decode()


def summary_of(response):
    """The words above the list."""
    found = re.search(r"<p class=\"list-summary.*?</p>", text_of(response), re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", found[0]).split()) if found else ""


def names_in(response):
    return [row.name for row in response.context["page"]]


@pytest.fixture
def harbour(db):
    return ClusterFactory(name="harbour")


@pytest.fixture
def applications(harbour):
    """b runs, a is degraded, c is stopped; on two clusters."""
    rows = (("b", "running", 1, harbour), ("a", "degraded", 3, ClusterFactory(name="quay")), ("c", "stopped", 2, harbour))
    now = timezone.now()
    times = [{"created_at": now - timedelta(days=age), "updated_at": now - timedelta(hours=age)} for _, _, age, _ in rows]
    return [
        ApplicationFactory(name=name, status=status, cluster=cluster, **known)
        for (name, status, _, cluster), known in zip(rows, times, strict=True)
    ]


class TestSorting:
    @pytest.mark.parametrize(
        ("sort", "order"),
        [
            ("", "abc"),
            ("-name", "cba"),
            ("cluster", "bca"),
            ("status", "abc"),
            ("-status", "cba"),
            ("created", "acb"),
            ("-created", "bca"),
            ("-updated", "bca"),
            ("nothing", "abc"),
        ],
    )
    def test_applications_are_sorted_as_the_address_says(self, reader, applications, sort, order):
        assert names_in(reader.get(f"/applications/?sort={sort}")) == list(order)

    def test_what_has_no_time_comes_last_both_ways(self, reader, applications):
        Application.objects.filter(name="b").update(created_at=None)
        for sort in ("created", "-created"):
            assert names_in(reader.get(f"/applications/?sort={sort}"))[-1] == "b"

    def test_a_heading_says_how_it_is_sorted_and_leads_to_the_other_direction_with_the_filters(self, reader, applications):
        text = text_of(reader.get("/applications/?filtered=1&q=&hide_offline=on&sort=status&page=1"))
        heading = re.search(r'<th [^>]*aria-sort="ascending"><a id="sort-status" href="([^"]*)"', text)
        assert heading
        assert "sort=-status" in heading[1]
        assert "hide_offline=on" in heading[1]
        assert "page=" not in heading[1]
        assert 'id="sort-created" href="/applications/?' in text
        assert "sort=-created" in text  # the newest first
        assert text.count("aria-sort") == 1

    def test_services_are_sorted_too(self, reader, applications):
        for application, name, status in zip(
            applications, ("web", "db", "api"), ("running", "degraded", "stopped"), strict=True
        ):
            ServiceFactory(application=application, name=name, status=status)
        assert names_in(reader.get("/services/")) == ["db", "web", "api"]  # by application
        assert names_in(reader.get("/services/?sort=name")) == ["api", "db", "web"]
        assert names_in(reader.get("/services/?sort=-status")) == ["api", "web", "db"]


class TestCounts:
    def test_what_is_hidden_is_counted_with_a_way_to_show_it(self, reader, applications, harbour):
        for name in ("agent", "monitor", "logger"):
            ApplicationFactory(cluster=harbour, name=name, system=True)
        response = reader.get("/applications/")
        assert summary_of(response) == "3 of 6 applications 3 system hidden Show them"
        (hidden,) = response.context["counts"].hidden
        assert summary_of(reader.get(f"/applications/?{hidden.query}")) == "6 applications Clear filters"

    def test_one_box_counts_what_no_other_hides(self, reader, applications, harbour):
        ApplicationFactory(cluster=harbour, name="agent", system=True, status="stopped")
        response = reader.get("/applications/?filtered=1&hide_system=on&hide_offline=on&sort=-name")
        hidden = {one.word: (one.count, one.query) for one in response.context["counts"].hidden}
        assert hidden == {"offline": (1, "filtered=1&hide_system=on&sort=-name")}

    def test_a_search_counts_against_all(self, reader, applications):
        assert summary_of(reader.get("/applications/?q=a")) == "1 of 3 applications Clear filters"

    def test_a_search_that_finds_only_hidden_ones_says_so(self, reader, applications, harbour):
        ApplicationFactory(cluster=harbour, name="agent", system=True)
        text = text_of(reader.get("/applications/?q=agent"))
        assert "No application matches" in text
        assert "1 system application is hidden" in text
        assert 'href="?filtered=1&amp;q=agent&amp;cluster=all"' in text

    def test_the_count_is_that_of_what_the_reader_may_see(self, client, applications, harbour, published):
        client.force_login(make_user("viewer", Role.VIEWER, harbour))
        assert summary_of(client.get("/applications/")) == "2 applications"


class TestShared:
    def test_the_address_that_a_list_asks_for_holds_its_cluster(self, reader, applications, harbour):
        text = text_of(reader.get(f"/applications/?cluster={harbour.uid}"))
        assert f'hx-get="/applications/?cluster={harbour.uid}"' in text
        assert f'form="filters" name="cluster" value="{harbour.uid}"' in text
        assert 'hx-get="/applications/?cluster=all"' in text_of(reader.get("/applications/?cluster=all"))

    def test_the_navigation_keeps_the_cluster_in_the_address(self, reader, applications, harbour):
        assert 'href="/services/"' in text_of(reader.get("/applications/"))
        text = text_of(reader.get(f"/applications/?cluster={harbour.uid}"))
        assert f'href="/services/?cluster={harbour.uid}"' in text
        assert 'href="/clusters/"' in text

    def test_a_poll_does_not_change_which_cluster_is_selected(self, reader, applications, harbour):
        reader.get("/applications/?cluster=all")
        assert names_in(reader.get(f"/applications/?cluster={harbour.uid}", headers=LIST)) == ["b", "c"]
        assert names_in(reader.get("/applications/")) == ["a", "b", "c"]

    def test_choosing_a_cluster_keeps_the_filters(self, reader, applications):
        text = text_of(reader.get("/applications/?filtered=1&q=sho%22p&page=2"))
        selector = text[text.index('<form class="cluster-selector"') : text.index("</form>")]
        assert 'name="q" value="sho&quot;p"' in selector
        assert 'name="page"' not in selector


class TestPageStates:
    def test_only_system_applications(self, reader, harbour):
        ApplicationFactory(cluster=harbour, name="agent", system=True)
        text = text_of(reader.get("/applications/"))
        assert "Only 1 system application is here" in text
        assert "Show it" in text

    def test_an_empty_cluster_and_one_that_was_never_reached(self, reader, applications):
        empty = ClusterFactory(name="empty")
        assert "No application on this cluster." in text_of(reader.get(f"/applications/?cluster={empty.uid}"))
        lost = ClusterFactory(name="lost", status="unreachable", status_reason="Connection refused.")
        text = text_of(reader.get(f"/applications/?cluster={lost.uid}"))
        assert "Connection refused." in text
        assert "once it answers" in text

    @pytest.mark.parametrize("change", [{"protected": True}, {"status": "absent"}])
    def test_what_cannot_be_acted_on_offers_no_act_and_says_why(self, reader, fleet, change):
        Application.objects.filter(pk=fleet.application.pk).update(**change)
        Service.objects.filter(pk=fleet.service.pk).update(status=change.get("status", "running"))
        for address in (fleet.pages["application"], fleet.pages["service"], fleet.pages["applications"]):
            text = text_of(reader.get(address))
            assert "/redeploy/" not in text
            assert "/scale/" not in text
            assert "/triggers/new/" not in text
        reason = "Protected:" if "protected" in change else "is on its engine any more"
        assert reason in text_of(reader.get(fleet.pages["application"]))
        assert reason in text_of(reader.get(fleet.pages["service"]))

    def test_who_may_not_create_a_trigger_is_told_who_can(self, client, fleet, published):
        fleet.application.triggers.all().delete()
        client.force_login(make_user("viewer", Role.VIEWER, fleet.cluster))
        assert "Who has the Deployer role" in text_of(client.get(fleet.pages["application"]))


def test_the_page_of_an_application_names_the_calls_that_wait_or_run(reader, fleet):
    TriggerCallFactory(trigger=fleet.trigger, state=CallState.RUNNING)
    TriggerCallFactory(trigger=fleet.scaling_trigger, step=2)
    text = " ".join(re.sub(r"<[^>]+>", "", text_of(reader.get(fleet.pages["application"]))).split())
    assert f"Redeploy is running, asked for by {fleet.trigger} just now" in text
    assert f"Scale out by 2 of {fleet.service.name} waits for its turn, asked for by {fleet.scaling_trigger}" in text


class TestTriggersList:
    def test_it_is_searched_by_name_application_and_service(self, reader, fleet):
        TriggerFactory(name="other", application=ApplicationFactory(name="elsewhere"))
        for query, found in ((fleet.trigger.name, [fleet.trigger]), (fleet.service.name, [fleet.scaling_trigger])):
            assert list(reader.get("/triggers/", {"q": query}).context["page"]) == found
        assert len(reader.get("/triggers/", {"q": fleet.application.name}).context["page"]) == 2

    def test_it_is_narrowed_to_a_service(self, reader, fleet):
        response = reader.get(f"/triggers/?service={fleet.service.pk}")
        assert list(response.context["page"]) == [fleet.scaling_trigger]
        assert f"1 trigger for {fleet.service.name}" in summary_of(response)
        assert f"/triggers/?service={fleet.service.pk}" in text_of(reader.get(fleet.pages["service"]))
        for wrong in ("x", "9" * 30):
            assert reader.get(f"/triggers/?service={wrong}").status_code == 200

    def test_a_service_that_may_not_be_seen_is_not_named(self, client, fleet, published):
        client.force_login(make_user("elsewhere", Role.VIEWER, ClusterFactory()))
        assert fleet.service.name not in text_of(client.get(f"/triggers/?service={fleet.service.pk}"))


class TestSparkline:
    def week_of(self, reader, trigger):
        return next(one.week for one in reader.get("/triggers/").context["triggers"] if one.pk == trigger.pk)

    def test_it_counts_the_calls_of_seven_days_by_day_and_outcome(self, reader, fleet):
        TriggerCall.objects.all().delete()
        for days, state in ((0, "succeeded"), (0, "failed"), (6, "rolled_back"), (7, "failed")):
            TriggerCallFactory(trigger=fleet.trigger, state=state, queued_at=timezone.now() - timedelta(days=days))
        TriggerCallFactory(trigger=fleet.scaling_trigger, state=CallState.RUNNING)
        week = self.week_of(reader, fleet.trigger)
        assert week.text == "In 7 days: 3 calls, 1 succeeded, 1 rolled back, 1 failed."
        assert [(bar.tone, bar.x) for bar in week.bars] == [("warn", 0), ("ok", 48), ("bad", 48)]
        assert [words.partition(": ")[2] for _, words in week.days][5:] == ["no call", "2 calls, 1 succeeded, 1 failed"]
        assert self.week_of(reader, fleet.scaling_trigger).text == "In 7 days: 1 call, 1 queued or running."

    def test_its_numbers_are_said_to_who_does_not_see_it(self, reader, fleet):
        for address in ("/triggers/", fleet.pages["application"]):
            assert 'role="img" aria-label="In 7 days: 1 call, 1 failed."' in text_of(reader.get(address))

    def test_bars_stay_in_their_place(self, reader, fleet):
        states = [state for state in CallState for _ in range(40 if state == "succeeded" else 1)]
        for state in states:
            extra = {"application": ApplicationFactory(), "service": None} if state == "running" else {}
            TriggerCallFactory(trigger=fleet.trigger, state=state, **extra)
        week = self.week_of(reader, fleet.trigger)
        assert len(week.bars) == 5
        assert min(bar.y for bar in week.bars) >= 0

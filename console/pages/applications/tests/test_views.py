"""Applications on the pages: what state their pages show, and the calls that are started there."""

import re

import pytest

from clusters.models import Application, Service
from clusters.roles import Role
from clusters.tests.factories import (
    ApplicationFactory,
    ClusterFactory,
    ContainerFactory,
    ServiceFactory,
)
from clusters.tests.users import make_user
from console.pages.tests.reading import DIALOG, console_call, text_of
from triggers.calls.queue import QueueFull
from triggers.models import CallState, Trigger, TriggerCall
from triggers.tests.factories import (
    TriggerCallFactory,
    TriggerFactory,
)


class TestCallsFromThePages:
    def test_redeploy_makes_a_call_and_shows_it(self, reader, fleet):
        response = reader.post(f"/applications/{fleet.application.pk}/redeploy/", headers=DIALOG)
        call = console_call()
        assert response["HX-Redirect"] == f"/calls/{call.pk}/"
        assert (call.action, call.application, call.trigger) == ("redeploy", fleet.application, None)

    def test_one_service_is_redeployed_from_its_page(self, reader, fleet):
        address = f"/applications/{fleet.application.pk}/redeploy/?service={fleet.service.pk}"
        page = text_of(reader.get(f"/services/{fleet.service.pk}/"))
        assert f'href="{address}"' in page
        assert f'href="/applications/{fleet.application.pk}/triggers/new/?service={fleet.service.pk}"' in page
        assert f'hx-post="{address}"' in text_of(reader.get(address, headers=DIALOG))
        reader.post(address, headers=DIALOG)
        call = console_call()
        assert (call.action, call.application, call.service) == ("redeploy", fleet.application, fleet.service)

    @pytest.mark.parametrize("service", ["0", "x", "999999"])
    def test_a_service_of_no_such_application_is_not_found(self, reader, fleet, service):
        assert reader.post(f"/applications/{fleet.application.pk}/redeploy/?service={service}").status_code == 404
        assert not TriggerCall.objects.filter(source="console").exists()

    @pytest.mark.parametrize(("how", "step", "replicas"), [("scale_out", 3, None), ("scale_in", -3, None), ("to", None, 3)])
    def test_scaling_asks_for_a_step_or_a_count(self, reader, fleet, how, step, replicas):
        reader.post(f"/services/{fleet.service.pk}/scale/", {"how": how, "count": 3})
        call = console_call()
        assert (call.step, call.replicas, call.service) == (step, replicas, fleet.service)

    @pytest.mark.parametrize("count", ["", "0", "101", "two"])
    def test_a_wrong_count_is_an_error_at_its_field(self, reader, fleet, count):
        response = reader.post(f"/services/{fleet.service.pk}/scale/", {"how": "scale_out", "count": count})
        assert "count" in response.context["form"].errors
        assert not TriggerCall.objects.filter(source="console").exists()

    @pytest.mark.parametrize(
        ("how", "count", "sentence"),
        [
            ("scale_out", 5, "5 will be added, 7 in total."),
            ("scale_in", 1, "1 will be removed, the newest first; 1 remains."),
            ("scale_in", 9, "1 will be removed, the newest first; 1 remains."),
            ("to", 2, "Nothing will change."),
        ],
    )
    def test_the_scale_form_says_what_will_happen(self, reader, fleet, how, count, sentence):
        headers = {"HX-Request": "true", "HX-Target": "scale-effect"}
        response = reader.get(f"/services/{fleet.service.pk}/scale/?how={how}&count={count}", headers=headers)
        assert sentence in text_of(response)

    def test_too_many_waiting_calls_lead_back_with_the_reason(self, reader, fleet, monkeypatch):
        def refuse(request):
            raise QueueFull("10000 calls wait already.", 7)

        monkeypatch.setattr("triggers.audited.accept_call", refuse)
        response = reader.post(f"/applications/{fleet.application.pk}/redeploy/", follow=True)
        assert "10000 calls wait already. Nothing was started. Try again in 7 s." in text_of(response)

    def test_a_redeploy_may_go_to_another_tag_which_the_call_shows_and_run_again_keeps(self, reader, fleet):
        address = f"/applications/{fleet.application.pk}/redeploy/"
        assert 'name="tag"' in text_of(reader.get(address))
        response = reader.post(address, {"tag": " 2.0 "}, follow=True)
        assert "<code><bdi>tag=2.0</bdi></code>" in text_of(response)
        reader.post(f"/calls/{console_call().pk}/again/")
        assert [call.tag for call in TriggerCall.objects.filter(source="console")] == ["2.0", "2.0"]

    def test_an_invalid_tag_is_an_error_at_its_field_and_starts_nothing(self, reader, fleet):
        response = reader.post(f"/applications/{fleet.application.pk}/redeploy/", {"tag": "a b"}, headers=DIALOG)
        text = text_of(response)
        assert 'id="id_tag_error"' in text
        assert '<details class="more-options" open>' in text
        assert not TriggerCall.objects.filter(source="console").exists()

    def test_an_application_of_several_repositories_is_offered_no_tag(self, reader, fleet):
        ServiceFactory(application=fleet.application, image="other:1")
        assert 'name="tag"' not in text_of(reader.get(f"/applications/{fleet.application.pk}/redeploy/"))

    def test_a_redeploy_can_start_what_was_stopped_here_and_run_again_keeps_that(self, reader, fleet):
        address = f"/applications/{fleet.application.pk}/redeploy/"
        assert 'name="start_stopped"' not in text_of(reader.get(address))
        fleet.application.left_stopped = {"shop-web-1": {"id": "1"}}
        fleet.application.save()
        assert 'name="start_stopped"' in text_of(reader.get(address))
        response = reader.post(address, {"start_stopped": "on"}, follow=True)
        assert "<code><bdi>start_stopped=true</bdi></code>" in text_of(response)
        reader.post(f"/calls/{console_call().pk}/again/")
        reader.post(address, {})
        asked = TriggerCall.objects.filter(source="console").order_by("queued_at")
        assert [(call.start_stopped, call.state) for call in asked] == [(True, "queued"), (True, "coalesced"), (None, "queued")]

    def test_run_again_asks_for_the_same_once_more(self, reader, fleet):
        first = TriggerCall.objects.create(
            application=fleet.application,
            service=fleet.service,
            action="scaling",
            step=-2,
            source="hook",
            state=CallState.SUCCEEDED,
            queued_at=fleet.call.queued_at,
        )
        reader.post(f"/calls/{first.pk}/again/")
        second = console_call()
        assert (second.action, second.service, second.step, second.source) == ("scaling", fleet.service, -2, "console")


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
        reason = "Protected:" if "protected" in change else "no longer exists on its engine"
        assert reason in text_of(reader.get(fleet.pages["application"]))
        assert reason in text_of(reader.get(fleet.pages["service"]))

    def test_a_reader_who_cannot_create_a_trigger_is_told_who_can(self, client, fleet, published):
        fleet.application.triggers.all().delete()
        client.force_login(make_user("viewer", Role.VIEWER, fleet.cluster))
        assert "Anyone with the Deployer role" in text_of(client.get(fleet.pages["application"]))


def test_the_page_of_an_application_names_its_queued_and_running_calls(reader, fleet):
    TriggerCallFactory(trigger=fleet.trigger, state=CallState.RUNNING)
    TriggerCallFactory(trigger=fleet.scaling_trigger, step=2)
    text = " ".join(re.sub(r"<[^>]+>", "", text_of(reader.get(fleet.pages["application"]))).split())
    assert f"Redeploy is running, requested by {fleet.trigger} just now" in text
    assert f"Scale {fleet.service.name} out by 2 waits for its turn, requested by {fleet.scaling_trigger}" in text


def test_containers_come_in_pages(reader, fleet):
    for _ in range(60):
        ContainerFactory(service=fleet.service)
    for name in ("application", "service"):
        address = f"{fleet.pages[name]}?tab=containers"
        first, second = reader.get(address), reader.get(f"{address}&page=2")
        shown = [container.pk for page in (first, second) for container in page.context["containers"]]
        assert (len(shown), len(set(shown))) == (62, 62)
        assert "51–62 of 62" in second.content.decode()
        assert "tab=containers&amp;page=2" in first.content.decode()


@pytest.mark.parametrize(("number", "folded"), [(4, 0), (5, 2)])
def test_of_many_triggers_the_newest_are_shown_and_the_rest_is_folded(reader, fleet, number, folded):
    Trigger.objects.all().delete()
    made = [TriggerFactory(application=fleet.application, name=f"Trigger {number}") for number in range(number)]
    address = f"/applications/{fleet.application.pk}/"
    text = text_of(reader.get(address))
    assert text.count('class="is-folded"') == folded
    assert (f"All {number} triggers" in text) == bool(folded)
    oldest = text_of(reader.get(f"{address}?trigger={made[0].pk}"))
    assert oldest.count('class="is-folded"') == max(folded - 1, 0)

"""What a person can do on the pages: dialogs and their errors, with and without scripts, and the calls that come of it."""

import shlex
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.html import escape

from clusters.engine.errors import EngineUnreachable
from clusters.engine.inspection.listing import EngineFacts
from clusters.inventory import AddressFacts, ConnectionFacts
from clusters.models import Application, AuditEntry, Cluster
from clusters.tests.factories import ApplicationFactory, ClusterFactory, ServiceFactory
from triggers.calls import accept as calls
from triggers.models import CallState, Trigger, TriggerCall
from triggers.tests.factories import TriggerCallFactory

DIALOG = {"HX-Request": "true", "HX-Target": "dialog"}


def new_trigger_url(application):
    return f"/applications/{application.pk}/triggers/new/"


def console_call():
    """The one call that was started on the pages."""
    return TriggerCall.objects.get(source="console")


def text_of(response):
    return response.content.decode()


class TestCreateTriggerDialog:
    def test_confirm_leads_to_the_application_with_link_secret_and_curl_line(self, reader, fleet):
        response = reader.post(new_trigger_url(fleet.application), {"action": "redeploy", "name": "Jenkins"}, follow=True)
        trigger = Trigger.objects.get(name="Jenkins")
        assert trigger.created_by.username == "admin"
        assert (trigger.service, trigger.application) == (None, fleet.application)
        assert response.request["PATH_INFO"] == f"/applications/{fleet.application.pk}/"
        link = f"http://testserver/hook/trigger?triggerUrl={encoded(trigger)}&secret={trigger.secret}"
        assert escape(f"curl '{link}'") in text_of(response)

    def test_in_the_dialog_htmx_is_told_where_to_go(self, reader, fleet):
        response = reader.post(new_trigger_url(fleet.application), {"action": "redeploy", "name": "Jenkins"}, headers=DIALOG)
        trigger = Trigger.objects.get(name="Jenkins")
        assert response["HX-Redirect"] == f"/applications/{fleet.application.pk}/?trigger={trigger.pk}#trigger-{trigger.pk}"

    def test_the_curl_line_of_a_scaling_trigger_is_one_shell_word_with_type_and_step(self, reader, fleet):
        data = {"action": "scaling", "service": fleet.service.pk, "min_replicas": 1, "max_replicas": 9, "cooldown_seconds": 30}
        response = reader.post(new_trigger_url(fleet.application), data, follow=True)
        trigger = Trigger.objects.get(cooldown_seconds=30)
        assert (trigger.service, trigger.min_replicas, trigger.max_replicas) == (fleet.service, 1, 9)
        line = next(found.secrets.curl for found in response.context["triggers"] if found.pk == trigger.pk)
        command, link = shlex.split(line)
        assert command == "curl"
        assert link.endswith(f"&secret={trigger.secret}&type=scale_out&step=5")

    def test_allowed_tags_are_a_redeploys_alone(self, reader, fleet):
        for name, action in (("one", "redeploy"), ("two", "scaling")):
            data = {"action": action, "name": name, "service": fleet.service.pk, "tag_pattern": "v[0-9]+"}
            reader.post(new_trigger_url(fleet.application), data)
        assert [Trigger.objects.get(name=name).tag_pattern for name in ("one", "two")] == ["v[0-9]+", ""]
        response = reader.post(new_trigger_url(fleet.application), {"action": "redeploy", "tag_pattern": "v["})
        assert response.context["form"].errors.keys() == {"tag_pattern"}
        assert response.context["form"].has_wrong_options

    def test_a_redeploy_may_be_narrowed_to_one_service_and_keeps_no_bounds(self, reader, fleet):
        data = {"action": "redeploy", "name": "one", "only_service": fleet.service.pk, "min_replicas": 2}
        reader.post(new_trigger_url(fleet.application), data)
        trigger = Trigger.objects.get(name="one")
        assert (trigger.service, trigger.min_replicas) == (fleet.service, None)

    @pytest.mark.parametrize("headers", [{}, DIALOG])
    def test_errors_stand_at_their_fields_and_nothing_typed_is_lost(self, reader, fleet, headers):
        data = {"action": "scaling", "service": "", "name": "half typed", "min_replicas": 7, "max_replicas": 3}
        response = reader.post(new_trigger_url(fleet.application), data, headers=headers)
        assert response.status_code == 200
        assert response.context["form"].errors.keys() == {"service", "max_replicas"}
        text = text_of(response)
        assert 'id="id_service_error"' in text
        assert 'id="id_max_replicas_error"' in text
        assert 'value="half typed"' in text
        assert '<details class="more-options" open>' in text
        assert '<option value="scaling" selected>' in text
        assert not Trigger.objects.filter(name="half typed").exists()

    def test_a_service_of_another_application_cannot_be_chosen(self, reader, fleet):
        data = {"action": "scaling", "service": ServiceFactory().pk}
        assert "service" in reader.post(new_trigger_url(fleet.application), data).context["form"].errors

    def test_an_old_engine_must_be_upgraded_first_and_only_redeploy_is_offered(self, reader):
        application = ApplicationFactory(cluster=ClusterFactory(api_version="1.40"))
        service = ServiceFactory(application=application)
        text = text_of(reader.get(new_trigger_url(application)))
        assert "upgrade the engine first" in text
        assert '<option value="scaling" disabled>' in text
        response = reader.post(new_trigger_url(application), {"action": "scaling", "service": service.pk})
        assert "action" in response.context["form"].errors
        assert reader.post(new_trigger_url(application), {"action": "redeploy"}).status_code == 302

    def test_what_the_model_refuses_beside_the_fields_is_said_above_them(self, reader, fleet):
        Application.objects.filter(pk=fleet.application.pk).update(protected=True)
        response = reader.post(new_trigger_url(fleet.application), {"action": "redeploy"})
        assert "is protected" in str(response.context["form"].non_field_errors())

    def test_without_scripts_the_dialog_is_a_page(self, reader, fleet):
        assert '<nav id="navigation"' in text_of(reader.get(new_trigger_url(fleet.application)))
        assert '<nav id="navigation"' not in text_of(reader.get(new_trigger_url(fleet.application), headers=DIALOG))


def encoded(trigger):
    from triggers.links import encode_trigger_url

    return encode_trigger_url(trigger.link_fields)


class TestTriggerActs:
    def test_rotating_kills_the_old_secret_and_shows_the_new_one(self, reader, fleet):
        old = fleet.trigger.secret
        response = reader.post(f"/triggers/{fleet.trigger.pk}/rotate/", follow=True)
        fleet.trigger.refresh_from_db()
        assert fleet.trigger.secret != old
        assert fleet.trigger.secret in text_of(response)
        assert old not in text_of(response)

    def test_switching_says_what_is_wanted_so_that_twice_does_no_harm(self, reader, fleet):
        for wanted, state in (("0", False), ("0", False), ("1", True)):
            reader.post(f"/triggers/{fleet.trigger.pk}/switch/", {"enabled": wanted})
            fleet.trigger.refresh_from_db()
            assert fleet.trigger.enabled is state

    def test_switching_leads_back_to_the_list_it_was_done_on_and_nowhere_else(self, reader, fleet):
        address = f"/triggers/{fleet.trigger.pk}/switch/"
        for back, led_to in (
            ("/triggers/?q=shop", "/triggers/?q=shop"),
            ("https://elsewhere.example/", fleet.pages["application"]),
            ("//elsewhere.example/", fleet.pages["application"]),
        ):
            assert reader.post(address, {"enabled": "1", "next": back})["Location"] == led_to

    def test_a_page_that_shows_the_very_address_it_is_led_to_is_reloaded(self, reader, fleet):
        shown = f"/applications/{fleet.application.pk}/?trigger={fleet.trigger.pk}#trigger-{fleet.trigger.pk}"
        address = f"/triggers/{fleet.trigger.pk}/rotate/"
        response = reader.post(address, headers=DIALOG | {"HX-Current-URL": f"http://testserver{shown}"})
        assert (response["HX-Refresh"], "HX-Redirect" in response) == ("true", False)
        response = reader.post(address, headers=DIALOG | {"HX-Current-URL": "http://testserver/triggers/"})
        assert response["HX-Redirect"] == shown

    def test_deleting_keeps_the_calls(self, reader, fleet):
        response = reader.post(f"/triggers/{fleet.trigger.pk}/delete/")
        assert response["Location"] == f"/applications/{fleet.application.pk}/"
        assert not Trigger.objects.filter(pk=fleet.trigger.pk).exists()
        assert TriggerCall.objects.filter(pk=fleet.call.pk, trigger=None).exists()

    def test_a_test_call_is_a_call_of_that_trigger_from_the_console(self, reader, fleet):
        response = reader.post(f"/triggers/{fleet.trigger.pk}/call/", headers={"User-Agent": "a browser"})
        call = console_call()
        assert response["Location"] == f"/calls/{call.pk}/"
        assert (call.trigger, call.source, call.requested_by.username) == (fleet.trigger, "console", "admin")
        assert (call.source_address, call.user_agent) == ("127.0.0.1", "a browser")

    def test_a_test_call_of_a_scaling_trigger_takes_type_and_step(self, reader, fleet):
        address = f"/triggers/{fleet.scaling_trigger.pk}/call/"
        assert "step" in reader.post(address, {"type": "scale_in", "step": "0"}).context["form"].errors
        assert not TriggerCall.objects.filter(source="console").exists()
        reader.post(address, {"type": "scale_in", "step": "2"})
        assert console_call().step == -2


class TestEditTrigger:
    @pytest.fixture
    def address(self, fleet):
        return f"/triggers/{fleet.scaling_trigger.pk}/edit/"

    def test_name_bounds_and_cool_down_change_and_the_link_stays(self, reader, fleet, address):
        AuditEntry.objects.all().delete()
        trigger = fleet.scaling_trigger
        link = (trigger.public_id, trigger.secret)
        body = {"name": "night shift", "min_replicas": "2", "max_replicas": "9", "cooldown_seconds": "60"}
        assert reader.post(address, body)["Location"] == fleet.pages["application"]
        trigger.refresh_from_db()
        assert (trigger.name, trigger.min_replicas, trigger.max_replicas, trigger.cooldown_seconds) == ("night shift", 2, 9, 60)
        assert (trigger.public_id, trigger.secret) == link
        entry = AuditEntry.objects.get()
        assert entry.action == "trigger.change"
        assert entry.details["fields"] == ["cooldown_seconds", "max_replicas", "min_replicas", "name"]

    def test_what_stays_as_it_was_is_neither_saved_nor_recorded(self, reader, fleet, address):
        AuditEntry.objects.all().delete()
        reader.post(address, {"name": f" {fleet.scaling_trigger.name} ", "min_replicas": "", "cooldown_seconds": ""})
        assert not AuditEntry.objects.exists()

    @pytest.mark.parametrize("headers", [{}, DIALOG])
    def test_errors_stand_at_their_fields_and_nothing_typed_is_lost(self, reader, fleet, address, headers):
        body = {"name": "half typed", "min_replicas": "7", "max_replicas": "3", "cooldown_seconds": "-1"}
        response = reader.post(address, body, headers=headers)
        text = text_of(response)
        assert response.context["form"].errors.keys() == {"max_replicas", "cooldown_seconds"}
        assert 'id="id_max_replicas_error"' in text
        assert 'aria-invalid="true"' in text
        assert 'value="half typed"' in text
        assert Trigger.objects.get(pk=fleet.scaling_trigger.pk).name != "half typed"

    def test_a_redeploy_has_no_bounds_and_a_plain_engine_no_choice_on_failure(self, reader, fleet):
        address = f"/triggers/{fleet.trigger.pk}/edit/"
        assert reader.get(address).context["form"].fields.keys() == {"name", "cooldown_seconds", "tag_pattern", "alert_state"}
        reader.post(address, {"name": "n", "min_replicas": "2", "on_failure": "pause"})
        fleet.trigger.refresh_from_db()
        assert (fleet.trigger.name, fleet.trigger.min_replicas, fleet.trigger.on_failure) == ("n", None, "rollback")

    @pytest.mark.parametrize("which", ["trigger", "scaling_trigger"])
    def test_which_alerts_it_acts_on_can_be_chosen_and_stays_where_it_is_not_sent(self, reader, fleet, which):
        trigger = getattr(fleet, which)
        for body in ({"name": "n", "alert_state": "resolved"}, {"name": "m"}):
            reader.post(f"/triggers/{trigger.pk}/edit/", body)
            trigger.refresh_from_db()
            assert trigger.alert_state == "resolved"
        assert "acts when an alert is resolved" in text_of(reader.get(f"/applications/{fleet.application.pk}/"))

    def test_on_a_swarm_what_becomes_of_a_failure_can_be_chosen(self, reader, swarm_fleet):
        reader.post(f"/triggers/{swarm_fleet.trigger.pk}/edit/", {"name": "n", "on_failure": "pause"})
        swarm_fleet.trigger.refresh_from_db()
        assert swarm_fleet.trigger.on_failure == "pause"

    def test_a_trigger_whose_application_is_gone_for_now_can_be_renamed(self, reader, fleet, address):
        Application.objects.update(status="absent")
        reader.post(address, {"name": "still mine"})
        assert Trigger.objects.filter(name="still mine").exists()

    def test_the_dialog_leads_back_to_the_page_it_was_opened_on(self, reader, address):
        page = {"HX-Current-URL": "http://testserver/triggers/?q=shop#trigger-1"}
        assert reader.post(address, {"name": "n"}, headers=DIALOG | page)["HX-Redirect"] == "/triggers/?q=shop"


class TestScaleStepper:
    def test_one_more_and_one_fewer_open_the_dialog_filled(self, reader, fleet):
        text = text_of(reader.get(fleet.pages["service"]))
        for count in (1, 3):
            address = f"{fleet.pages['service_scale']}?how=to&count={count}"
            assert f'href="{escape(address)}"' in text
            form = reader.get(address, headers=DIALOG).context["form"]
            assert (form["how"].value(), form["count"].value()) == ("to", str(count))
        assert "2 will be added" not in text_of(reader.get(address, headers=DIALOG))
        assert "1 will be added: 3 in all." in text_of(reader.get(address, headers=DIALOG))

    def test_the_last_one_of_a_plain_engine_stays(self, reader, fleet):
        fleet.service.__class__.objects.filter(pk=fleet.service.pk).update(replicas=1, running=1)
        assert "count=0" not in text_of(reader.get(fleet.pages["service"]))


class TestReveal:
    """The page holds no secret before it is asked for, and the asking is recorded."""

    def reveal(self, reader, trigger, **more):
        return reader.post(f"/triggers/{trigger.pk}/reveal/", **more)

    def test_a_page_before_it_holds_no_secret_and_after_it_holds_it_once(self, reader, fleet):
        shown = f"/applications/{fleet.application.pk}/?trigger={fleet.trigger.pk}"
        assert fleet.trigger.secret not in text_of(reader.get(shown))
        response = self.reveal(reader, fleet.trigger)
        assert response["Location"] == f"{shown}#trigger-{fleet.trigger.pk}"
        text = text_of(reader.get(shown))
        assert escape(f"secret={fleet.trigger.secret}'") in text
        assert fleet.scaling_trigger.secret not in text
        assert fleet.trigger.secret not in text_of(reader.get(shown))

    def test_scripts_get_what_to_show_and_copy_as_json(self, reader, fleet):
        response = self.reveal(reader, fleet.scaling_trigger, headers={"Accept": "application/json"})
        body = response.json()
        assert body.keys() == {"secret", "link", "curl", "alertmanager", "grafana"}
        assert body["secret"] == fleet.scaling_trigger.secret
        assert shlex.split(body["curl"]) == ["curl", f"{body['link']}&type=scale_out&step=5"]
        assert "no-store" in response["Cache-Control"]
        assert body["secret"] not in text_of(reader.get(f"/applications/{fleet.application.pk}/"))

    def test_each_asking_is_recorded_and_no_secret_with_it(self, reader, fleet):
        AuditEntry.objects.all().delete()
        self.reveal(reader, fleet.trigger)
        self.reveal(reader, fleet.trigger, headers={"Accept": "application/json"})
        entries = AuditEntry.objects.all()
        assert [(entry.action, entry.actor, entry.target) for entry in entries] == [
            ("trigger.reveal", "admin", str(fleet.trigger))
        ] * 2
        assert not any(fleet.trigger.secret in str(vars(entry)) for entry in entries)

    def test_what_is_done_on_the_pages_is_recorded(self, reader, fleet):
        AuditEntry.objects.all().delete()
        reader.post(new_trigger_url(fleet.application), {"action": "redeploy", "name": "Jenkins"})
        trigger, cluster = f"/triggers/{fleet.trigger.pk}", f"/clusters/{fleet.cluster.uid}"
        reader.post(f"{trigger}/switch/", {"enabled": "0"})
        reader.post(f"{trigger}/switch/", {"enabled": "1"})
        reader.post(f"{trigger}/rotate/")
        reader.post(f"{trigger}/call/")
        reader.post(f"{trigger}/delete/")
        reader.post(f"/services/{fleet.service.pk}/scale/", {"how": "to", "count": 3})
        reader.post("/clusters/new/", {"name": "north", "url": "tcp://10.0.0.9:2376"})
        reader.post(f"{cluster}/edit/", {"name": "quay", "url": fleet.cluster.url})
        reader.post(f"{cluster}/delete/", {"name": "quay"})
        entries = list(AuditEntry.objects.order_by("pk"))
        assert [entry.action for entry in entries] == [
            *("trigger.create", "trigger.disable", "trigger.enable", "trigger.rotate", "call", "trigger.delete", "call"),
            *("cluster.add", "cluster.change", "cluster.delete"),
        ]
        assert {entry.actor for entry in entries} == {"admin"}
        assert entries[6].details["replicas"] == 3
        assert entries[8].details == {"fields": ["name"]}


class TestCallsFromThePages:
    def test_redeploy_makes_a_call_and_shows_it(self, reader, fleet):
        response = reader.post(f"/applications/{fleet.application.pk}/redeploy/", headers=DIALOG)
        call = console_call()
        assert response["HX-Redirect"] == f"/calls/{call.pk}/"
        assert (call.action, call.application, call.trigger) == ("redeploy", fleet.application, None)

    @pytest.mark.parametrize(("how", "step", "replicas"), [("scale_out", 3, None), ("scale_in", -3, None), ("to", None, 3)])
    def test_scaling_asks_for_a_step_or_a_count(self, reader, fleet, how, step, replicas):
        reader.post(f"/services/{fleet.service.pk}/scale/", {"how": how, "count": 3})
        call = console_call()
        assert (call.step, call.replicas, call.service) == (step, replicas, fleet.service)

    @pytest.mark.parametrize("count", ["", "0", "101", "two"])
    def test_a_wrong_count_is_said_at_its_field(self, reader, fleet, count):
        response = reader.post(f"/services/{fleet.service.pk}/scale/", {"how": "scale_out", "count": count})
        assert "count" in response.context["form"].errors
        assert not TriggerCall.objects.filter(source="console").exists()

    @pytest.mark.parametrize(
        ("how", "count", "sentence"),
        [
            ("scale_out", 5, "5 will be added: 7 in all."),
            ("scale_in", 1, "1 will be removed, the newest first: 1 stay."),
            ("scale_in", 9, "1 will be removed, the newest first: 1 stay."),
            ("to", 2, "Nothing would change."),
        ],
    )
    def test_the_scale_form_says_what_will_happen(self, reader, fleet, how, count, sentence):
        headers = {"HX-Request": "true", "HX-Target": "scale-effect"}
        response = reader.get(f"/services/{fleet.service.pk}/scale/?how={how}&count={count}", headers=headers)
        assert sentence in text_of(response)

    def test_too_many_waiting_calls_lead_back_with_the_reason(self, reader, fleet, monkeypatch):
        def refuse(request):
            raise calls.QueueFull("10000 calls wait already.", 7)

        monkeypatch.setattr("triggers.acts.accept_call", refuse)
        response = reader.post(f"/applications/{fleet.application.pk}/redeploy/", follow=True)
        assert "10000 calls wait already. Nothing was started. Try again in 7 s." in text_of(response)

    def test_a_redeploy_may_go_to_another_tag_which_the_call_shows_and_run_again_keeps(self, reader, fleet):
        address = f"/applications/{fleet.application.pk}/redeploy/"
        assert 'name="tag"' in text_of(reader.get(address))
        response = reader.post(address, {"tag": " 2.0 "}, follow=True)
        assert "<code><bdi>tag=2.0</bdi></code>" in text_of(response)
        reader.post(f"/calls/{console_call().pk}/again/")
        assert [call.tag for call in TriggerCall.objects.filter(source="console")] == ["2.0", "2.0"]

    def test_what_is_no_tag_stands_at_its_field_and_starts_nothing(self, reader, fleet):
        response = reader.post(f"/applications/{fleet.application.pk}/redeploy/", {"tag": "a b"}, headers=DIALOG)
        text = text_of(response)
        assert 'id="id_tag_error"' in text
        assert '<details class="more-options" open>' in text
        assert not TriggerCall.objects.filter(source="console").exists()

    def test_an_application_of_several_repositories_is_offered_no_tag(self, reader, fleet):
        ServiceFactory(application=fleet.application, image="other:1")
        assert 'name="tag"' not in text_of(reader.get(f"/applications/{fleet.application.pk}/redeploy/"))

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


class TestCallPage:
    PARTIAL = {"HX-Request": "true", "HX-Target": "call"}

    def test_a_call_that_has_ended_stops_the_polling(self, reader, fleet):
        response = reader.get(f"/calls/{fleet.call.pk}/", headers=self.PARTIAL)
        assert response.status_code == 286
        assert "data-poll" not in text_of(response)

    def test_a_call_that_runs_is_polled(self, reader, fleet):
        TriggerCall.objects.filter(pk=fleet.call.pk).update(state=CallState.RUNNING, completed_at=None)
        response = reader.get(f"/calls/{fleet.call.pk}/", headers=self.PARTIAL)
        assert response.status_code == 200
        assert 'data-poll="1000"' in text_of(response)
        assert '<meta http-equiv="refresh"' in text_of(reader.get(f"/calls/{fleet.call.pk}/"))

    def test_it_opens_with_one_sentence(self, reader, fleet):
        assert reader.get(f"/calls/{fleet.call.pk}/").context["summary"] == "Failed after 2.0 s: Nothing was touched."

    def test_a_coalesced_call_names_the_one_that_covers_it(self, reader, fleet):
        covered = TriggerCall.objects.create(
            application=fleet.application,
            action="redeploy",
            source="hook",
            state=CallState.COALESCED,
            coalesced_into=fleet.call,
            queued_at=fleet.call.queued_at,
        )
        assert f'href="/calls/{fleet.call.pk}/"' in text_of(reader.get(f"/calls/{covered.pk}/"))
        assert f'href="/calls/{covered.pk}/"' in text_of(reader.get(f"/calls/{fleet.call.pk}/"))

    def test_a_coalesced_call_shows_the_outcome_and_is_followed_until_there_is_one(self, reader, fleet):
        covered = TriggerCallFactory(trigger=fleet.trigger, state=CallState.COALESCED, coalesced_into=fleet.call)
        address = f"/calls/{covered.pk}/"
        assert "Failed after 2.0 s: Nothing was touched." in text_of(reader.get(address))
        assert reader.get(address, headers=self.PARTIAL).status_code == 286
        TriggerCall.objects.filter(pk=fleet.call.pk).update(state=CallState.RUNNING, completed_at=None)
        assert reader.get(address, headers=self.PARTIAL).status_code == 200
        assert '<meta http-equiv="refresh"' in text_of(reader.get(address))

    def test_a_merged_call_names_its_leader_and_shows_its_operations(self, reader, fleet):
        member = TriggerCallFactory(
            trigger=fleet.scaling_trigger, step=2, state=CallState.FAILED, merged_into=fleet.call, started_at=timezone.now()
        )
        response = reader.get(f"/calls/{member.pk}/")
        assert f'href="/calls/{fleet.call.pk}/"' in text_of(response)
        assert [entry.text for entry in response.context["timeline"]] == ["line 0", "line 1", "line 2"]

    def test_a_running_operation_shows_how_long_it_has_taken_so_far(self, reader, fleet):
        TriggerCall.objects.filter(pk=fleet.call.pk).update(state=CallState.RUNNING, completed_at=None)
        fleet.call.events.update(time=timezone.now() - timedelta(seconds=70))
        last = reader.get(f"/calls/{fleet.call.pk}/").context["timeline"][-1]
        assert last.is_current
        assert timedelta(seconds=70) <= last.took < timedelta(seconds=130)

    @pytest.mark.parametrize(
        ("asked", "parameters"),
        [
            ({}, []),
            ({"step": 5}, ["type=scale_out", "step=5"]),
            ({"step": -1}, ["type=scale_in", "step=1"]),
            ({"replicas": 0}, ["replicas=0"]),
        ],
    )
    def test_the_parameters_of_the_request_are_shown_by_their_documented_names(self, reader, fleet, asked, parameters):
        call = TriggerCallFactory(trigger=fleet.scaling_trigger, **asked)
        assert reader.get(f"/calls/{call.pk}/").context["parameters"] == parameters

    def test_it_tells_who_called(self, reader, fleet, admin_user):
        caller = {"source_address": "203.0.113.9", "user_agent": "Jenkins/2", "delivery_id": "72d3162e"}
        TriggerCall.objects.filter(pk=fleet.call.pk).update(requested_by=admin_user, **caller)
        text = text_of(reader.get(f"/calls/{fleet.call.pk}/"))
        for value in ("Trigger link", "<bdi>admin</bdi>", *caller.values()):
            assert value in text

    def test_images_are_short_with_the_whole_to_copy_and_a_mixed_service_is_counted(self, reader, fleet):
        old, new, digest = "sha256:" + "a" * 64, "sha256:" + "b" * 64, "shop@sha256:" + "d" * 64
        before = {"services": {"web": {"running": 2, "image": "shop:1", "images": {old: 1, new: 1}, "digests": []}}}
        after = {"services": {"web": {"running": 2, "image": "shop:1", "images": {new: 2}, "digests": [digest]}}}
        TriggerCall.objects.filter(pk=fleet.call.pk).update(before=before, after=after)
        response = reader.get(f"/calls/{fleet.call.pk}/")
        (row,) = response.context["comparison"]
        assert (row.before.is_mixed, row.image_changed, row.image_kept, row.count_changed) == (True, True, False, False)
        for whole in (old, new, digest):
            assert f'data-copy="{whole}"' in text_of(response)

    def test_the_page_never_shows_a_triggers_secret(self, reader, fleet):
        assert fleet.trigger.secret not in text_of(reader.get(f"/calls/{fleet.call.pk}/"))


class TestClusters:
    DATA = {"name": "north", "url": "tcp://10.0.0.9:2376"}

    def test_one_is_added_and_shown(self, reader, db):
        response = reader.post("/clusters/new/", self.DATA)
        assert response["Location"] == f"/clusters/{Cluster.objects.get(name='north').uid}/"

    def test_a_wrong_address_is_said_at_its_field_and_kept(self, reader, db):
        response = reader.post("/clusters/new/", self.DATA | {"url": "http://10.0.0.9"})
        assert "must start with unix://" in str(response.context["form"].errors["url"])
        assert 'value="http://10.0.0.9"' in text_of(response)

    def test_the_stored_key_is_kept_and_never_shown(self, reader, db):
        cluster = Cluster.objects.create(**self.DATA, tls_cert="CERTIFICATE", tls_key="VERY SECRET KEY")
        address = f"/clusters/{cluster.uid}/edit/"
        assert "VERY SECRET KEY" not in text_of(reader.get(address))
        reader.post(address, self.DATA | {"name": "north-2", "tls_cert": "CERTIFICATE", "tls_key": ""})
        cluster.refresh_from_db()
        assert (cluster.name, cluster.tls_key) == ("north-2", "VERY SECRET KEY")
        reader.post(address, self.DATA | {"tls_cert": "", "tls_key": ""})
        cluster.refresh_from_db()
        assert cluster.tls_key == ""

    @pytest.mark.parametrize("headers", [{}, {"HX-Request": "true", "HX-Target": "test-result"}])
    def test_a_test_tells_the_engines_version_and_saves_nothing(self, reader, db, monkeypatch, headers):
        tried = []

        def answer(endpoint):
            tried.append(endpoint.url)
            return EngineFacts(engine_version="27.5.1", api_version="1.47", hostname="north-01")

        monkeypatch.setattr("clusters.inventory.test_connection", answer)
        response = reader.post("/clusters/test/", self.DATA, headers=headers)
        assert "Docker <bdi>27.5.1</bdi>, API <bdi>1.47</bdi>" in text_of(response)
        assert tried == [self.DATA["url"]]
        assert not Cluster.objects.exists()

    def test_a_test_of_several_managers_says_what_is_at_each_address(self, reader, db, monkeypatch):
        addresses = (AddressFacts("10.0.0.9:2376", "manager"), AddressFacts("10.0.0.8:2376", "worker", "It is a worker."))
        facts = ConnectionFacts(engine_version="27.5.1", swarm_role="manager", addresses=addresses)
        monkeypatch.setattr("clusters.inventory.test_connection", lambda endpoint: facts)
        text = text_of(reader.post("/clusters/test/", self.DATA))
        assert ", a Swarm manager." in text
        assert "10.0.0.9:2376</bdi></code> is a Swarm manager." in text
        assert "It is a worker." in text

    def test_a_test_tells_the_exact_reason_and_loses_nothing(self, reader, db, monkeypatch):
        def refuse(endpoint):
            raise EngineUnreachable("The engine at 10.0.0.9:2376 refused the connection.")

        monkeypatch.setattr("clusters.inventory.test_connection", refuse)
        response = reader.post("/clusters/test/", self.DATA)
        assert "refused the connection" in text_of(response)
        assert 'value="north"' in text_of(response)

    def test_a_test_of_a_stored_cluster_uses_its_stored_key(self, reader, db, monkeypatch):
        cluster = Cluster.objects.create(**self.DATA, tls_cert="CERTIFICATE", tls_key="VERY SECRET KEY")
        keys = []
        monkeypatch.setattr("clusters.inventory.test_connection", lambda endpoint: keys.append(endpoint.key) or EngineFacts())
        reader.post(f"/clusters/test/?edited={cluster.uid}", self.DATA | {"tls_cert": "CERTIFICATE"})
        assert keys == ["VERY SECRET KEY"]

    def test_deleting_asks_for_the_name(self, reader, fleet):
        address = f"/clusters/{fleet.cluster.uid}/delete/"
        assert "This is not the cluster" in text_of(reader.post(address, {"name": "harbor"}))
        assert Cluster.objects.filter(pk=fleet.cluster.pk).exists()
        reader.post(address, {"name": "harbour"})
        assert not Cluster.objects.filter(pk=fleet.cluster.pk).exists()


class TestLists:
    def names(self, response):
        return [application.name for application in response.context["page"]]

    def test_system_applications_are_hidden_until_asked_for(self, reader, fleet):
        ApplicationFactory(cluster=fleet.cluster, name="agent", system=True)
        assert "agent" not in self.names(reader.get("/applications/"))
        assert "agent" in self.names(reader.get("/applications/?filtered=1"))

    def test_offline_and_online_are_hidden_by_the_address(self, reader, fleet):
        ApplicationFactory(cluster=fleet.cluster, name="parked", status="stopped")
        assert self.names(reader.get("/applications/?filtered=1&hide_online=on")) == ["parked"]
        assert "parked" not in self.names(reader.get("/applications/?filtered=1&hide_offline=on"))

    def test_a_search_finds_names_and_images(self, reader, fleet):
        wanted = ApplicationFactory(cluster=fleet.cluster, name="billing")
        ServiceFactory(application=wanted, image="registry.example.com/ledger:1")
        ServiceFactory(application=wanted, image="registry.example.com/ledger-mail:1")
        for query in ("bill", "LEDGER"):
            assert self.names(reader.get(f"/applications/?q={query}")) == ["billing"]

    def test_a_cluster_chosen_once_is_remembered_until_all_are_asked_for(self, reader, fleet):
        other = ApplicationFactory(cluster=ClusterFactory(name="old-quay"))
        assert self.names(reader.get(f"/applications/?cluster={other.cluster.uid}")) == [other.name]
        assert self.names(reader.get("/applications/")) == [other.name]
        assert len(self.names(reader.get("/applications/?cluster=all"))) == 2

    def test_a_page_beyond_the_end_shows_the_last_one(self, reader, fleet):
        assert reader.get("/applications/?page=99").status_code == 200
        assert reader.get("/activity/?page=99").status_code == 200
        assert reader.get("/activity/?page=x").status_code == 200
        for path in ("/applications/", "/services/", "/triggers/", "/activity/"):
            assert reader.get(f"{path}?q=a%00b").status_code == 200
        assert reader.get(f"/activity/?page={'9' * 5000}").status_code == 200

    def test_htmx_gets_the_list_alone(self, reader, fleet):
        response = reader.get("/applications/?q=shop", headers={"HX-Request": "true", "HX-Target": "list"})
        assert text_of(response).strip().startswith('<div id="list"')

    def test_empty_states_teach_the_next_step(self, reader, fleet):
        assert "No application matches" in text_of(reader.get("/applications/?q=nothing"))
        Application.objects.all().delete()
        assert "No application yet." in text_of(reader.get("/applications/"))
        Cluster.objects.all().delete()
        assert "No cluster is connected." in text_of(reader.get("/applications/"))
        assert "No cluster is connected." in text_of(reader.get("/"))

    def test_an_unreachable_engine_says_since_when_and_why(self, reader, fleet, lost_cluster):
        for address in ("/", f"/applications/{fleet.application.pk}/", f"/applications/?cluster={fleet.cluster.uid}"):
            assert "Connection refused." in text_of(reader.get(address)), address

    def test_activity_is_filtered_by_state_source_and_application(self, reader, fleet):
        found = {
            query: len(reader.get(f"/activity/?{query}").context["page"].calls)
            for query in ("state=failed", "state=active", "source=hook", "source=api", f"q={fleet.application.name}", "q=other")
        }
        assert list(found.values()) == [1, 0, 1, 0, 1, 0]

    def test_a_failure_that_a_later_success_mended_needs_no_attention(self, reader, fleet):
        assert list(reader.get("/").context["broken_calls"]) == [fleet.call]
        TriggerCall.objects.create(
            application=fleet.application,
            action="redeploy",
            source="hook",
            state=CallState.SUCCEEDED,
            queued_at=fleet.call.completed_at,
        )
        assert list(reader.get("/").context["broken_calls"]) == []


def test_a_wrong_password_is_answered_with_one_sentence(db):
    response = Client().post("/login/", {"username": "admin", "password": "wrong"})
    assert "The user name or the password is wrong." in text_of(response)

"""Triggers on the pages: creating, editing, rotating, revealing, switching and deleting them, and their list."""

import shlex
from copy import copy

import pytest
from django.utils.html import escape

from clusters.models import Application, AuditEntry, Service
from clusters.roles import Role
from clusters.tests.factories import (
    ApplicationFactory,
    ClusterFactory,
    ServiceFactory,
)
from clusters.tests.users import make_user
from console.pages.tests.reading import (
    DIALOG,
    console_call,
    new_trigger_url,
    summary_of,
    text_of,
    words_of,
)
from triggers.models import Trigger, TriggerCall
from triggers.tests.factories import (
    TriggerFactory,
)


class TestCreateTriggerDialog:
    def test_confirm_leads_to_the_application_with_link_secret_and_curl_line(self, reader, fleet):
        response = reader.post(new_trigger_url(fleet.application), {"action": "redeploy", "name": "Jenkins"}, follow=True)
        trigger = Trigger.objects.get(name="Jenkins")
        assert trigger.created_by.username == "admin"
        assert (trigger.service, trigger.application) == (None, fleet.application)
        assert response.request["PATH_INFO"] == f"/applications/{fleet.application.pk}/"
        link = f"http://testserver/hook/trigger?triggerUrl={encoded(trigger)}&secret={trigger.secret}"
        assert escape(f"curl --fail-with-body -sS '{link}'") in text_of(response)

    def test_it_is_said_that_the_secret_is_shown_once_and_a_name_is_given(self, reader, fleet):
        Trigger.objects.all().delete()
        for name in ("Redeploy", "Redeploy 2"):
            text = text_of(reader.post(new_trigger_url(fleet.application), {"action": "redeploy"}, follow=True))
            assert f"{name} was created. Copy how to call it now: its secret is shown this once" in text
            assert Trigger.objects.filter(name=name).exists()

    def test_from_a_services_page_it_is_for_that_service(self, reader, fleet):
        text = text_of(reader.get(f"{new_trigger_url(fleet.application)}?service={fleet.service.pk}", headers=DIALOG))
        assert text.count(f'<option value="{fleet.service.pk}" selected>') == 2
        assert '<details class="more-options" open>' in text

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
        *command, link = shlex.split(line)
        assert command == ["curl", "--fail-with-body", "-sS"]
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
        trigger, before = fleet.scaling_trigger, copy(fleet.scaling_trigger)
        link = (trigger.public_id, trigger.secret)
        body = {"name": "night shift", "min_replicas": "2", "max_replicas": "9", "cooldown_seconds": "60"}
        assert reader.post(address, body)["Location"] == fleet.pages["application"]
        trigger.refresh_from_db()
        assert (trigger.name, trigger.min_replicas, trigger.max_replicas, trigger.cooldown_seconds) == ("night shift", 2, 9, 60)
        assert (trigger.public_id, trigger.secret) == link
        entry = AuditEntry.objects.get()
        assert entry.action == "trigger.change"
        assert entry.details["changes"] == {
            "cooldown_seconds": [before.cooldown_seconds, 60],
            "max_replicas": [before.max_replicas, 9],
            "min_replicas": [before.min_replicas, 2],
            "name": [before.name, "night shift"],
        }

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
        assert reader.get(address).context["form"].fields.keys() == {
            "name",
            "cooldown_seconds",
            "tag_pattern",
            "alert_state",
            "post_only",
            "during_freezes",
        }
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

    @pytest.mark.parametrize("which", ["trigger", "scaling_trigger"])
    def test_get_can_be_excluded_and_stays_so_where_it_is_not_sent(self, reader, fleet, which):
        trigger = getattr(fleet, which)
        for sent, stored in (("True", True), (None, True), ("False", False), (None, False)):
            reader.post(f"/triggers/{trigger.pk}/edit/", {"name": "n"} | ({"post_only": sent} if sent else {}))
            trigger.refresh_from_db()
            assert trigger.post_only == stored
        reader.post(f"/triggers/{trigger.pk}/edit/", {"name": "n", "post_only": "True"})
        page = text_of(reader.get(f"/applications/{fleet.application.pk}/?trigger={trigger.pk}"))
        assert "GET does nothing" in page
        assert "curl --fail-with-body -sS -X POST " in page

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
        assert shlex.split(body["curl"]) == ["curl", "--fail-with-body", "-sS", f"{body['link']}&type=scale_out&step=5"]
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
            "trigger.create",
            "trigger.disable",
            "trigger.enable",
            "trigger.rotate",
            "call",
            "trigger.delete",
            "call",
            "cluster.add",
            "cluster.change",
            "cluster.delete",
        ]
        assert {entry.actor for entry in entries} == {"admin"}
        assert entries[6].details["replicas"] == 3
        assert entries[8].details == {"changes": {"name": ["harbour", "quay"]}}


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


class TestCreateTriggerOnASwarm:
    def test_on_failure_is_asked_on_a_swarm_alone(self, reader, fleet, swarm_fleet):
        assert 'name="on_failure"' in text_of(reader.get(new_trigger_url(swarm_fleet.application)))
        assert 'name="on_failure"' not in text_of(reader.get(new_trigger_url(fleet.application)))

    @pytest.mark.parametrize(("sent", "kept"), [({"on_failure": "pause"}, "pause"), ({}, "rollback")])
    def test_it_is_kept(self, reader, swarm_fleet, sent, kept):
        data = {"action": "scaling", "service": swarm_fleet.service.pk, "name": "alarm", "min_replicas": 0}
        reader.post(new_trigger_url(swarm_fleet.application), data | sent)
        trigger = Trigger.objects.get(name="alarm")
        assert (trigger.on_failure, trigger.min_replicas) == (kept, 0)

    def test_a_plain_engine_takes_no_such_wish(self, reader, fleet):
        reader.post(new_trigger_url(fleet.application), {"action": "redeploy", "name": "ci", "on_failure": "pause"})
        assert Trigger.objects.get(name="ci").on_failure == "rollback"

    def test_a_job_may_be_redeployed_but_not_scaled(self, reader, swarm_fleet):
        Service.objects.update(mode="replicated-job")
        data = {"action": "scaling", "service": swarm_fleet.service.pk}
        response = reader.post(new_trigger_url(swarm_fleet.application), data)
        assert "is a job" in str(response.context["form"].errors["service"])
        assert reader.post(new_trigger_url(swarm_fleet.application), {"action": "redeploy"}).status_code == 302

    def test_the_example_speaks_of_tasks(self, reader, swarm_fleet):
        words = words_of(reader.get(f"{swarm_fleet.pages['application']}?trigger={swarm_fleet.scaling_trigger.pk}"))
        assert f"adds 5 tasks to {swarm_fleet.service.name}" in words

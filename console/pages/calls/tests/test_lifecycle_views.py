"""Stop, start, restart and delete on the pages and in the API: what is offered, requested and recorded."""

import re

import pytest
from django.test import Client
from django.utils import timezone

from clusters.models import Application, AuditEntry, Container
from clusters.roles import Role
from clusters.tests.users import make_user
from console.pages.tests.reading import text_of
from triggers.models import Action, CallState, TriggerCall
from triggers.tests.factories import TriggerCallFactory

DIALOG = {"HX-Request": "true", "HX-Target": "dialog"}


def words_of(response):
    """Return the text without tags, with single spaces."""
    return " ".join(re.sub(r"<[^>]+>", " ", text_of(response)).split())


def asked():
    return TriggerCall.objects.get(source__in=("console", "api"))


def address(row, act):
    return f"/{'containers' if isinstance(row, Container) else 'applications'}/{row.pk}/{act}/"


class TestAsking:
    @pytest.mark.parametrize("act", ["stop", "start", "restart"])
    def test_an_act_on_an_application_is_a_call_that_is_shown(self, reader, fleet, act):
        response = reader.post(address(fleet.application, act), headers=DIALOG)
        call = asked()
        assert response["HX-Redirect"] == f"/calls/{call.pk}/"
        assert (call.action, call.application, call.service, call.container) == (act, fleet.application, None, "")
        assert call.state == CallState.QUEUED

    @pytest.mark.parametrize("act", ["stop", "start", "restart"])
    def test_an_act_on_a_container_names_it_and_its_service(self, reader, fleet, act):
        reader.post(address(fleet.container, act))
        call = asked()
        assert (call.action, call.service, call.container) == (act, fleet.service, fleet.container.name)

    @pytest.mark.parametrize("kind", ["application", "container"])
    def test_a_delete_takes_the_typed_name(self, reader, fleet, kind):
        row = getattr(fleet, kind)
        for typed in ("", "another", row.name.upper()):
            response = reader.post(address(row, "delete"), {"name": typed})
            assert response.status_code == 200
            assert f"This is not the {kind}'s name" in text_of(response)
        assert not TriggerCall.objects.filter(action="delete").exists()
        response = reader.post(address(row, "delete"), {"name": f" {row.name} "})
        assert response["Location"] == f"/calls/{asked().pk}/"
        assert (asked().action, asked().container) == ("delete", row.name if kind == "container" else "")

    @pytest.mark.parametrize("act", ["stop", "start", "restart", "delete"])
    def test_what_is_protected_is_rejected_and_not_offered(self, reader, fleet, act):
        Application.objects.update(protected=True)
        assert "will be rejected" in text_of(reader.get(address(fleet.application, act)))
        reader.post(address(fleet.application, act), {"name": fleet.application.name})
        assert (asked().state, asked().reason) == (CallState.REJECTED, "protected")
        assert "application-menu" not in text_of(reader.get(f"/applications/{fleet.application.pk}/"))

    def test_an_unknown_act_is_no_address(self, reader, fleet):
        assert reader.post(address(fleet.application, "explode")).status_code == 404


class TestOffers:
    def offered(self, reader, application):
        text = text_of(reader.get(f"/applications/{application.pk}/"))
        assert text.count('id="application-menu-') <= 1
        return {act for act in ("stop", "start", "restart", "delete") if f"/applications/{application.pk}/{act}/" in text}

    @pytest.mark.parametrize(
        ("status", "running", "acts"),
        [
            ("running", 2, {"stop", "restart", "delete"}),
            ("degraded", 1, {"stop", "start", "restart", "delete"}),
            ("stopped", 0, {"start", "delete"}),
            ("absent", 0, set()),
        ],
    )
    def test_only_what_fits_the_state_is_offered(self, reader, fleet, status, running, acts):
        Application.objects.update(status=status, running=running)
        assert self.offered(reader, fleet.application) == acts

    def test_a_stack_is_restarted_and_deleted_only(self, reader, swarm_fleet):
        assert self.offered(reader, swarm_fleet.application) == {"restart", "delete"}
        for act in ("stop", "start"):
            response = reader.get(address(swarm_fleet.application, act))
            assert "A Swarm has no stopped services" in text_of(response)
            assert 'type="submit"' not in text_of(response).partition("dialog-body")[2]

    def test_the_list_has_a_menu_of_its_own_in_each_row(self, reader, fleet):
        fleet.add_application()
        text = text_of(reader.get("/applications/"))
        for application in Application.objects.all():
            assert text.count(f'id="application-menu-{application.pk}"') == 1
            assert f'aria-label="More actions of {application.name}"' in text

    @pytest.mark.parametrize(
        ("query", "acts"), [("stop", ["Stop"]), ("rest", ["Restart"]), ("start", []), ("delete", ["Delete"])]
    )
    def test_the_palette_knows_the_acts(self, reader, fleet, query, acts):
        response = reader.get(f"/search/?q={query}+{fleet.application.name}")
        actions = [group for group in response.context["groups"] if group.label == "Actions"]
        assert [entry.act for group in actions for entry in group.entries] == acts


class TestRecord:
    def test_every_act_is_in_the_log_and_what_is_lost_has_a_word_of_its_own(self, reader, fleet):
        AuditEntry.objects.all().delete()
        reader.post(address(fleet.application, "stop"))
        reader.post(address(fleet.container, "restart"))
        reader.post(address(fleet.container, "delete"), {"name": fleet.container.name})
        reader.post(address(fleet.application, "delete"), {"name": fleet.application.name})
        entries = list(AuditEntry.objects.order_by("pk"))
        assert [(entry.action, entry.target, entry.details["asked"]) for entry in entries] == [
            ("call", fleet.application.name, "stop"),
            ("call", fleet.application.name, "restart"),
            ("container.remove", fleet.container.name, "delete"),
            ("application.delete", fleet.application.name, "delete"),
        ]
        assert [entry.details.get("container") for entry in entries] == [None, fleet.container.name, fleet.container.name, None]
        assert {entry.actor for entry in entries} == {"admin"}
        assert {entry.cluster_id for entry in entries} == {fleet.cluster.pk}

    def test_a_wrong_name_and_a_refusal_leave_no_trace(self, fleet, published):
        AuditEntry.objects.all().delete()
        client = Client()
        client.force_login(make_user("operator", Role.OPERATOR, fleet.cluster))
        assert client.post(address(fleet.application, "delete"), {"name": fleet.application.name}).status_code == 403
        assert client.post(address(fleet.container, "delete"), {"name": fleet.container.name}).status_code == 403
        assert not AuditEntry.objects.filter(action__in=("application.delete", "container.remove")).exists()
        assert not TriggerCall.objects.filter(action="delete").exists()


class TestCallPage:
    def call(self, fleet, action, **more):
        own = {"trigger": None, "application": fleet.application, "service": None, "source": "console"}
        return TriggerCallFactory(**own | {"action": action, "state": CallState.SUCCEEDED} | more)

    @pytest.mark.parametrize(
        ("action", "container", "words"),
        [
            (Action.STOP, "", "Stop"),
            (Action.RESTART, "web-1", "Restart container"),
            (Action.DELETE, "", "Delete"),
            (Action.DELETE, "web-1", "Remove container"),
        ],
    )
    def test_pages_and_lists_say_what_was_requested_and_never_scale(self, reader, fleet, action, container, words):
        TriggerCall.objects.all().delete()
        call = self.call(fleet, action, service=fleet.service, container=container)
        page = words_of(reader.get(f"/calls/{call.pk}/"))
        assert f"{words} {container or fleet.service.name}" in page
        listed = f">{words} <bdi>{container or fleet.service.name}</bdi></a>"
        assert listed in text_of(reader.get(f"/activity/?action={action}"))
        exported = b"".join(reader.get("/activity/export/").streaming_content).decode()
        assert f",{words}," in exported
        for text in (page, exported):
            assert "Scale" not in text

    def test_a_deletes_before_and_after_say_that_nothing_is_left(self, reader, fleet):
        before = {"services": {"web": {"running": 2, "image": "app:1", "images": {"sha256:1": 2}}}}
        call = self.call(fleet, Action.DELETE, before=before, after={"services": {}})
        [row] = reader.get(f"/calls/{call.pk}/").context["comparison"]
        assert (row.before.running, row.after.running, row.count_changed) == (2, 0, True)

    def test_a_delete_is_never_run_again(self, reader, fleet):
        call = self.call(fleet, Action.DELETE)
        assert "Run again" not in text_of(reader.get(f"/calls/{call.pk}/"))
        response = reader.post(f"/calls/{call.pk}/again/", follow=True)
        assert "A delete cannot be run again" in text_of(response)
        assert TriggerCall.objects.filter(action="delete").count() == 1

    def test_the_others_are_of_the_same_container_too(self, reader, fleet):
        call = self.call(fleet, Action.RESTART, service=fleet.service, container="web-1")
        assert "Run again" in text_of(reader.get(f"/calls/{call.pk}/"))
        reader.post(f"/calls/{call.pk}/again/")
        again = TriggerCall.objects.filter(action="restart").exclude(pk=call.pk).get()
        assert (again.service, again.container) == (fleet.service, "web-1")

    def test_the_page_of_a_deleted_application_still_works(self, reader, fleet):
        Application.objects.update(status="absent", running=0, wanted=0)
        call = self.call(fleet, Action.DELETE)
        assert reader.get(f"/calls/{call.pk}/").status_code == 200
        assert "no longer exists on its engine" in text_of(reader.get(f"/applications/{fleet.application.pk}/"))


class TestCancel:
    def test_it_is_offered_while_the_call_is_active_and_ends_a_queued_one(self, reader, fleet, published):
        call = TriggerCallFactory(trigger=fleet.trigger)
        page = f"/calls/{call.pk}/"
        assert "This call is waiting. If you cancel it, nothing is done." in text_of(reader.get(page))
        assert f"{page}cancel/" in reader.get(page).content.decode()
        response = reader.post(f"{page}cancel/", follow=True)
        assert "Cancelled by" in text_of(response)
        assert f"{page}cancel/" not in response.content.decode()
        again = reader.post(f"{page}cancel/", follow=True)
        assert "The call had already ended. Nothing was cancelled." in text_of(again)

    def test_a_running_one_is_cancelled_once(self, reader, fleet, published):
        call = TriggerCallFactory(trigger=fleet.trigger, state="running", started_at=timezone.now())
        page = f"/calls/{call.pk}/"
        assert "it stops at the next safe step and rolls back to what ran before." in text_of(reader.get(page))
        response = reader.post(f"{page}cancel/", follow=True)
        assert "is cancelling this call. It stops at the next safe step." in text_of(response)
        assert f"{page}cancel/" not in response.content.decode()


class TestApi:
    @pytest.mark.parametrize("act", ["stop", "start", "restart", "delete"])
    def test_an_act_answers_with_its_call(self, reader, fleet, act):
        response = reader.post(f"/api/v1/applications/{fleet.application.pk}/{act}/", content_type="application/json")
        assert response.status_code == 202, response.json()
        assert (response.json()["action"], response.json()["container"]) == (act, "")

    def test_it_can_name_one_container(self, reader, fleet):
        path = f"/api/v1/applications/{fleet.application.pk}/restart/"
        response = reader.post(path, {"container": fleet.container.name}, content_type="application/json")
        assert response.status_code == 202
        assert (response.json()["container"], response.json()["service"]) == (fleet.container.name, fleet.service.pk)
        response = reader.post(path, {"container": "another"}, content_type="application/json")
        assert (response.status_code, list(response.json())) == (400, ["container"])

    def test_a_swarm_refuses_with_the_reason(self, reader, swarm_fleet):
        path = f"/api/v1/applications/{swarm_fleet.application.pk}"
        response = reader.post(f"{path}/stop/", content_type="application/json")
        assert response.status_code == 409
        assert "A Swarm has no stopped services" in response.json()["detail"]
        assert not TriggerCall.objects.filter(source="api").exists()
        assert reader.post(f"{path}/restart/", content_type="application/json").status_code == 202

    def test_what_is_protected_is_recorded_and_rejected(self, reader, fleet):
        Application.objects.update(protected=True)
        response = reader.post(f"/api/v1/applications/{fleet.application.pk}/delete/", content_type="application/json")
        assert (response.status_code, response.json()["reason"]) == (409, "protected")

"""The dialogs of freeze windows, and what other pages say about them."""

import pytest
from django.contrib.auth.models import User

from clusters.models import AuditEntry
from clusters.roles import Role
from clusters.tests.users import make_user
from console.pages.tests.reading import text_of, words_of
from triggers.calls.tests.test_frozen import freeze
from triggers.models import Behaviour, CallState, FreezeWindow, TriggerCall
from triggers.tests.factories import TriggerCallFactory
from triggers.tests.test_freeze_forms import ONCE, WEEKEND


@pytest.fixture
def address(fleet):
    return f"/applications/{fleet.application.pk}/"


def test_a_window_of_an_application(reader, fleet, address):
    assert "Add freeze window" in text_of(reader.get(f"{address}freezes/new/"))
    response = reader.post(f"{address}freezes/new/", WEEKEND)
    assert response["Location"] == address
    window = FreezeWindow.objects.latest("pk")
    assert (window.application, window.created_by) == (fleet.application, User.objects.get(username="admin"))
    words = words_of(reader.get(f"{address}freezes/"))
    assert "weekend Fri 18:00 to Mon 06:00 (Europe/Berlin)" in words
    assert "redeploys wait." in words
    reader.post(f"/freezes/{window.pk}/edit/", WEEKEND | {"behaviour": "refuse", "includes_scaling": "on"})
    assert "redeploys and scalings are refused." in words_of(reader.get(f"{address}freezes/"))
    assert "run within seconds" in text_of(reader.get(f"/freezes/{window.pk}/delete/"))
    reader.post(f"/freezes/{window.pk}/delete/")
    assert not FreezeWindow.objects.filter(pk=window.pk).exists()
    assert AuditEntry.objects.filter(action__startswith="freeze.").count() == 3


def test_a_window_of_a_cluster_shows_on_the_pages_of_its_applications(reader, fleet, address, client):
    url = f"/clusters/{fleet.cluster.uid}/"
    assert reader.post(f"{url}freezes/new/", ONCE)["Location"] == url
    assert "2026-12-24 12:00 to 2027-01-02 08:00" in text_of(reader.get(f"{url}freezes/"))
    words = words_of(reader.get(f"{address}freezes/"))
    assert "whole cluster" in words
    window = FreezeWindow.objects.get(application=None)
    client.force_login(make_user("deployer", Role.DEPLOYER))
    shown = text_of(client.get(f"{address}freezes/"))
    assert f"/freezes/{window.pk}/edit/" not in shown
    assert f"/freezes/{fleet.window.pk}/edit/" in shown
    assert client.get(f"/freezes/{window.pk}/edit/").status_code == 403


def test_what_is_wrong_is_shown_and_nothing_is_stored(reader, fleet, address):
    before = FreezeWindow.objects.count()
    response = reader.post(f"{address}freezes/new/", WEEKEND | {"zone": "Moon", "days": []})
    assert response.status_code == 200
    assert "This is not the name of a time zone" in text_of(response)
    assert "Choose at least one day." in text_of(response)
    assert FreezeWindow.objects.count() == before


def test_a_frozen_application_says_so(reader, fleet, address):
    freeze(fleet.application, name="weekend", reason="Nobody is here")
    words = words_of(reader.get(f"{address}freezes/"))
    assert "Redeploys wait until " in words
    assert "Freeze: weekend: Nobody is here" in words
    dialog = text_of(reader.get(f"{address}redeploy/"))
    assert 'name="override_reason"' in dialog
    assert "Without a reason the call waits." in dialog


def test_a_label_that_cannot_be_read_is_reported(reader, fleet, address):
    fleet.application.freeze_label = "always"
    fleet.application.save()
    assert "cannot be read, so it freezes nothing" in words_of(reader.get(f"{address}freezes/"))


def test_a_redeploy_with_and_without_a_reason(reader, fleet, address):
    FreezeWindow.objects.all().delete()
    freeze(fleet.application, Behaviour.REFUSE)
    reader.post(f"{address}redeploy/")
    refused = TriggerCall.objects.get(source="console")
    assert (refused.state, refused.reason) == (CallState.REJECTED, "frozen")
    reader.post(f"{address}redeploy/", {"override_reason": "A hole."})
    made = TriggerCall.objects.get(source="console", state=CallState.QUEUED)
    assert made.override_reason == "A hole."
    assert "A hole." in text_of(reader.get(f"/calls/{made.pk}/"))


def test_a_test_call_and_a_scaling_ask_for_a_reason(reader, fleet):
    freeze(fleet.application, includes_scaling=True)
    assert 'name="override_reason"' in text_of(reader.get(f"/services/{fleet.service.pk}/scale/"))
    url = f"/triggers/{fleet.trigger.pk}/call/"
    assert 'name="override_reason"' in text_of(reader.get(url))
    reader.post(url, {"override_reason": "A hole."})
    assert TriggerCall.objects.get(source="console").during_freezes is True


def test_a_call_that_waits_is_let_run(reader, fleet):
    window = freeze(fleet.application, name="weekend")
    text = "Waits until Mon 2026-11-30 06:00 (UTC). Frozen by weekend."
    call = TriggerCallFactory(trigger=fleet.trigger, state=CallState.QUEUED, held_until=window.ends_at, message=text)
    shown = reader.get(f"/calls/{call.pk}/")
    assert shown.context["summary"] == f"Held back: {text}"
    assert "Run now" in text_of(shown)
    url = f"/calls/{call.pk}/release/"
    assert "Reason to do it now" in text_of(reader.get(url))
    assert reader.post(url, {"override_reason": ""}).status_code == 200
    assert reader.post(url, {"override_reason": "A hole."})["Location"] == f"/calls/{call.pk}/"
    call.refresh_from_db()
    assert (call.held_until, call.override_reason) == (None, "A hole.")
    TriggerCall.objects.filter(pk=call.pk).update(state=CallState.SUCCEEDED)
    assert "waits no longer" in text_of(reader.post(url, {"override_reason": "A hole."}, follow=True))

"""The dialog that redeploys previous images."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.models import Application
from clusters.roles import Role
from clusters.tests.users import make_user
from console.pages.tests.reading import DIALOG, console_call, text_of, words_of
from triggers.images.tests.test_history import ended, id_of, seen
from triggers.models import TriggerCall
from triggers.tests.factories import FreezeWindowFactory

HOUR = timedelta(hours=1)
LABELS = {"source": "https://github.com/team/app"}


@pytest.fixture
def changed(fleet):
    """The fleet, whose service was changed from image 1 to image 2 by a call."""
    service = fleet.service
    service.image_id, service.image_facts = id_of(2), {"version": "1.5", "revision": "3c4d", **LABELS}
    service.save()
    before = seen(**{service.name: 1})
    before["services"][service.name]["facts"] = {"version": "1.4", "revision": "1a2b", **LABELS}
    fleet.change = ended(fleet.application, 1, before, seen(**{service.name: 2}))
    return fleet


def addresses(fleet):
    return [fleet.pages["application_previous"], fleet.pages["service_previous"], f"/calls/{fleet.change.pk}/previous/"]


def fingerprint_in(response):
    return re.search(r'name="shown" value="([0-9a-f]+)"', text_of(response)).group(1)


@pytest.mark.parametrize("place", [0, 1, 2], ids=["application", "service", "call"])
def test_the_dialog_names_both_images_and_starts_the_call(reader, changed, place):
    address = addresses(changed)[place]
    response = reader.get(address, headers=DIALOG)
    words = words_of(response)
    for part in (
        changed.service.name,
        "version 1.5",
        "version 1.4",
        "revision 1a2b",
        f"trigger link call of {changed.change.trigger}",
    ):
        assert part in words, part
    assert 'href="https://github.com/team/app/compare/1a2b...3c4d" rel="noopener noreferrer"' in text_of(response)
    posted = reader.post(address, {"shown": fingerprint_in(response)}, headers=DIALOG)
    call = console_call()
    assert posted["HX-Redirect"] == f"/calls/{call.pk}/"
    assert (call.action, call.service) == ("redeploy", changed.service if place == 1 else None)
    assert {name: image["image_id"] for name, image in call.returns_to.items()} == {changed.service.name: id_of(1)}


def test_in_a_freeze_a_reason_starts_it_and_without_one_it_waits(reader, changed):
    address, now = changed.pages["application_previous"], timezone.now()
    FreezeWindowFactory(application=changed.application, starts_at=now - HOUR, ends_at=now + HOUR)
    shown = reader.get(address, headers=DIALOG)
    assert 'name="override_reason"' in text_of(shown)
    form = {"shown": fingerprint_in(shown)}
    reader.post(address, form, headers=DIALOG)
    held = console_call()
    assert held.held_until
    reader.post(address, {**form, "override_reason": "3 a.m., it is down"}, headers=DIALOG)
    call = TriggerCall.objects.exclude(pk__in=[held.pk, changed.change.pk]).get(source="console")
    assert (call.state, call.held_until, call.override_reason) == ("queued", None, "3 a.m., it is down")


def test_a_form_that_shows_something_else_than_would_be_done_starts_nothing(reader, changed):
    address = changed.pages["application_previous"]
    shown = fingerprint_in(reader.get(address))
    ended(changed.application, 2, seen(**{changed.service.name: 3}), seen(**{changed.service.name: 2}))
    response = reader.post(address, {"shown": shown})
    assert "What runs has changed meanwhile" in words_of(response)
    assert not TriggerCall.objects.filter(source="console").exists()


def test_where_nothing_is_known_the_dialog_says_so_and_has_no_button(reader, fleet):
    for name in ("application_previous", "service_previous"):
        response = reader.get(fleet.pages[name])
        assert "No image is known that" in words_of(response)
        assert (
            'type="submit"' not in text_of(response).partition("<form")[2].partition("dialog-body")[2].partition("</form>")[0]
        )
    assert "This call has replaced no image." in words_of(reader.get(fleet.pages["call_previous"]))
    reader.post(fleet.pages["application_previous"], {"shown": ""})
    assert not TriggerCall.objects.filter(source="console").exists()


def test_the_buttons_are_there_for_those_who_can_call_where_something_is_known(reader, client, changed):
    pages = [changed.pages["application"], changed.pages["service"], f"/calls/{changed.change.pk}/"]
    assert all("Redeploy the previous image" in words_of(reader.get(page)) for page in pages)
    assert "Redeploy the previous image" not in words_of(reader.get(changed.pages["call"]))
    client.force_login(make_user("viewer", Role.VIEWER, changed.cluster))
    assert not any("Redeploy the previous image" in words_of(client.get(page)) for page in pages)


def test_the_tab_lists_the_images_with_what_brought_them(reader, changed):
    for page in (changed.pages["application"], changed.pages["service"]):
        response = reader.get(f"{page}?tab=images")
        words = words_of(response)
        assert "version 1.5" in words
        assert "runs now" in words
        assert "What changed" in words
        assert f'href="/calls/{changed.change.pk}/"' in text_of(response)


def test_an_application_says_that_an_image_was_left(reader, changed):
    Application.objects.filter(pk=changed.application.pk).update(left_images={changed.service.name: [id_of(2)]})
    assert "Pushes and polling do not take the image that was left again." in words_of(reader.get(changed.pages["application"]))


def test_a_call_says_what_it_returns_to_and_runs_again_with_the_same_images(reader, changed):
    address = changed.pages["application_previous"]
    reader.post(address, {"shown": fingerprint_in(reader.get(address))})
    call = console_call()
    words = words_of(reader.get(f"/calls/{call.pk}/"))
    assert f"{changed.service.name}: app:1 ({id_of(1)[:19]})" in words
    assert f"Redeploy {changed.application.name} with the previous image" in words
    reader.post(f"/calls/{call.pk}/again/")
    again = TriggerCall.objects.filter(source="console").exclude(pk=call.pk).get()
    assert again.returns_to == call.returns_to

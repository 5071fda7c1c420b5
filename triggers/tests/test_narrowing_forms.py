"""The form of what narrows a link, the same in the dialog and in the admin, and the form of a rotation."""

from datetime import timedelta

import pytest
from django.utils import timezone

from triggers.models import Trigger
from triggers.narrowing_forms import NarrowingForm, RotateForm
from triggers.tests.factories import TriggerFactory

pytestmark = pytest.mark.django_db


def fill(trigger, **changed):
    """Return the form as a browser sends it back, with some fields changed."""
    shown = NarrowingForm(instance=trigger)
    data = {name: shown[name].value() for name in shown.fields}
    if trigger.expires_at:
        data["expires_at"] = trigger.expires_at.strftime("%Y-%m-%dT%H:%M")
    data = {name: "" if value in (None, False) else str(value) for name, value in data.items()}
    data["initial-calls_left"] = data["calls_left"]
    return NarrowingForm({**data, **changed}, instance=Trigger.objects.get(pk=trigger.pk))


def test_a_form_that_is_sent_back_as_it_was_changes_nothing():
    later = timezone.now() + timedelta(days=1, seconds=7)
    for options in ({}, {"allowed_addresses": "192.0.2.7", "expires_at": later, "calls_left": 3, "header_only": True}):
        form = fill(TriggerFactory(**options))
        assert form.is_valid(), form.errors
        assert form.list_changes() == []


def test_changes_are_normalised():
    trigger = TriggerFactory()
    form = fill(trigger, allowed_addresses="192.0.2.9/24, ::ffff:192.0.2.1", expires_at="2100-01-02T03:04", header_only="on")
    assert form.is_valid(), form.errors
    assert form.list_changes() == ["allowed_addresses", "expires_at", "header_only"]
    assert form.instance.allowed_addresses == "192.0.2.0/24\n192.0.2.1"
    assert form.instance.expires_at.isoformat() == "2100-01-02T03:04:00+00:00"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("allowed_addresses", "nowhere", "is neither an address nor a network"),
        ("expires_at", "2001-01-01T00:00", "lies in the past"),
        ("expires_at", "soon", "Enter a valid date/time."),
        ("calls_left", "-1", "greater than or equal to 0"),
        ("calls_left", "1000001", "less than or equal to 1000000"),
        ("calls_a_minute", "0", "greater than or equal to 1"),
        ("calls_a_minute", "1001", "less than or equal to 1000"),
    ],
)
def test_a_wrong_value_is_explained_at_its_field(field, value, said):
    form = fill(TriggerFactory(), **{field: value})
    assert not form.is_valid()
    assert said in form.errors[field][0]


def test_calls_that_were_made_while_the_form_was_open_are_not_given_back():
    trigger = TriggerFactory(calls_left=5)
    form = fill(trigger)
    Trigger.objects.update(calls_left=3)
    untouched = NarrowingForm(form.data | {"header_only": "on"}, instance=Trigger.objects.get())
    assert untouched.is_valid()
    assert untouched.list_changes() == ["header_only"]
    chosen = NarrowingForm(form.data | {"calls_left": "9"}, instance=Trigger.objects.get())
    assert chosen.is_valid()
    assert chosen.list_changes() == ["calls_left"]


def test_a_trigger_that_is_over_can_keep_its_date_or_lose_it():
    trigger = TriggerFactory(expires_at=timezone.now() - timedelta(days=1))
    form = fill(trigger)
    assert form.is_valid()
    assert form.list_changes() == []
    form = fill(trigger, expires_at="")
    assert form.is_valid()
    assert form.list_changes() == ["expires_at"]


def test_a_rotation_asks_before_it_ends_an_earlier_secret():
    trigger = TriggerFactory()
    form = RotateForm(trigger, {"overlap": "24"})
    assert form.is_valid()
    assert form.chosen_overlap == timedelta(hours=24)
    trigger.rotate_secret(timedelta(hours=1))
    assert not RotateForm(trigger, {"overlap": "24"}).is_valid()
    assert RotateForm(trigger, {"overlap": "0", "drop_old": "on"}).is_valid()
    assert not RotateForm(trigger, {"overlap": "12", "drop_old": "on"}).is_valid()


def test_a_rotation_that_says_nothing_ends_the_old_secret_at_once():
    form = RotateForm(TriggerFactory(), {})
    assert form.is_valid()
    assert form.chosen_overlap == timedelta(0)

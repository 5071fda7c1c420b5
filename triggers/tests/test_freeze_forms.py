from datetime import UTC, datetime, time

import pytest

from triggers.freeze_forms import FreezeWindowForm, OverrideForm, read_override
from triggers.models import Behaviour, FreezeWindow
from triggers.tests.factories import FreezeWindowFactory, TriggerFactory

pytestmark = pytest.mark.django_db
WEEKEND = {
    "name": "weekend",
    "behaviour": "wait",
    "how": "weekly",
    "days": ["4"],
    "start_time": "18:00",
    "end_day": "0",
    "end_time": "06:00",
    "zone": "Europe/Berlin",
}
ONCE = {
    "name": "holidays",
    "behaviour": "refuse",
    "how": "once",
    "first": "2026-12-24T12:00",
    "last": "2027-01-02T08:00",
    "zone": "Europe/Berlin",
    "includes_scaling": "on",
}


def make_form(data, **more):
    application = TriggerFactory().application
    return FreezeWindowForm(data | more, instance=FreezeWindow(cluster=application.cluster, application=application))


def test_a_weekly_window():
    form = make_form(WEEKEND, first="2026-12-24T12:00")
    assert form.is_valid(), form.errors
    window = form.save()
    window.refresh_from_db()
    assert (window.days, window.start_time, window.end_day, window.end_time) == ([4], time(18), 0, time(6))
    assert (window.starts_at, window.ends_at, window.behaviour) == (None, None, Behaviour.WAIT)
    assert window.written_times == "Fri 18:00 to Mon 06:00 (Europe/Berlin)"
    shown = FreezeWindowForm(instance=window)
    assert (shown["how"].value(), shown["days"].value(), shown["end_day"].value()) == ("weekly", ["4"], 0)


def test_a_single_window_is_read_by_the_clocks_of_its_zone():
    form = make_form(ONCE, days=["1"], start_time="10:00")
    assert form.is_valid(), form.errors
    window = form.save()
    assert (window.starts_at, window.ends_at) == (datetime(2026, 12, 24, 11, tzinfo=UTC), datetime(2027, 1, 2, 7, tzinfo=UTC))
    assert (window.days, window.start_time, window.includes_scaling) == ([], None, True)
    shown = FreezeWindowForm(instance=window)
    assert (shown["how"].value(), shown["first"].value()) == ("once", "2026-12-24T12:00")


def test_a_window_can_become_the_other_kind():
    window = FreezeWindowFactory()
    form = FreezeWindowForm(WEEKEND, instance=window)
    assert form.is_valid(), form.errors
    assert form.save().starts_at is None


@pytest.mark.parametrize(
    ("data", "wrong", "field"),
    [
        (WEEKEND, {"days": []}, "days"),
        (WEEKEND, {"days": ["7"]}, "days"),
        (WEEKEND, {"start_time": ""}, "start_time"),
        (WEEKEND, {"end_time": "25:00"}, "end_time"),
        (WEEKEND, {"zone": "Europe/Atlantis"}, "zone"),
        (WEEKEND, {"zone": "../../etc/passwd"}, "zone"),
        (WEEKEND, {"name": " "}, "name"),
        (WEEKEND, {"behaviour": "ignore"}, "behaviour"),
        (WEEKEND, {"how": "never"}, "how"),
        (ONCE, {"first": ""}, "first"),
        (ONCE, {"last": "soon"}, "last"),
        (ONCE, {"last": "2026-12-24T12:00"}, "last"),
        (ONCE, {"first": "0001-01-01T00:00"}, "first"),
    ],
    ids=["no day", "day", "start", "end", "zone", "path", "name", "calls", "how", "first", "last", "order", "year"],
)
def test_what_is_wrong_is_said_at_its_field(data, wrong, field):
    form = make_form(data | wrong)
    assert not form.is_valid()
    assert field in form.errors


def test_a_reason():
    assert OverrideForm({"override_reason": "A hole."}).is_valid()
    assert not OverrideForm({"override_reason": "  "}).is_valid()
    assert read_override({"override_reason": " a\0b " + "x" * 300}) == "ab " + "x" * 197
    assert read_override({}) == ""

"""Counts of calls by span of time and state, and the newest calls of several lists."""

from datetime import UTC, datetime, timedelta

import pytest

from triggers.calls.tallies import TRIGGER, count_calls, count_calls_of
from triggers.models import CallState, Trigger, TriggerCall
from triggers.selectors import find_newest, list_calls_about
from triggers.tests.factories import ScalingTriggerFactory, TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def add(trigger, moment, state=CallState.SUCCEEDED):
    return TriggerCallFactory(trigger=trigger, queued_at=moment, state=state)


def test_a_span_includes_its_first_moment_and_not_that_of_the_next_one():
    trigger = TriggerFactory()
    for moment in (NOON - timedelta(microseconds=1), NOON, NOON + HOUR - timedelta(microseconds=1), NOON + HOUR):
        add(trigger, moment)
    add(trigger, NOON + 9 * HOUR, CallState.FAILED)
    assert count_calls([NOON, NOON + HOUR]) == {(0, "succeeded"): 2, (1, "succeeded"): 1, (1, "failed"): 1}


def test_of_rejected_calls_those_without_a_row_of_their_own_count_too():
    trigger = TriggerFactory()
    for moment, repeated in ((NOON, 5), (NOON, None), (NOON + HOUR, 0)):
        TriggerCallFactory(trigger=trigger, queued_at=moment, state=CallState.REJECTED, repeated=repeated)
    add(trigger, NOON)
    moments = [NOON, NOON + HOUR]
    expected = {(0, "rejected"): 7, (0, "succeeded"): 1, (1, "rejected"): 1}
    assert count_calls(moments) == expected
    counted = count_calls_of(TRIGGER, Trigger.objects.filter(pk=trigger.pk), moments)
    assert counted == {(trigger.pk, *key): number for key, number in expected.items()}


def test_each_row_is_counted_separately():
    busy, calm, other = TriggerFactory(), TriggerFactory(), TriggerFactory()
    for number in range(3):
        add(busy, NOON + number * HOUR)
    add(other, NOON)
    rows = Trigger.objects.filter(pk__in=[busy.pk, calm.pk])
    assert count_calls_of(TRIGGER, rows, [NOON, NOON + HOUR]) == {(busy.pk, 0, "succeeded"): 1, (busy.pk, 1, "succeeded"): 2}
    assert count_calls_of(TRIGGER, Trigger.objects.none(), [NOON]) == {}


def test_the_newest_calls_of_several_lists_are_in_one_order():
    first, second, third = TriggerFactory(), TriggerFactory(), TriggerFactory()
    made = [add((first, second, third)[number % 3], NOON + number * HOUR) for number in range(9)]
    parts = [TriggerCall.objects.filter(trigger=trigger) for trigger in (first, second)]
    wanted = [call.pk for call in reversed(made) if call.trigger != third]
    assert [call.pk for call in find_newest(parts, 4)] == wanted[:4]
    assert [call.pk for call in find_newest(parts, 99)] == wanted


def test_a_services_calls_are_its_own_and_those_of_the_whole_application():
    scaling = ScalingTriggerFactory()
    whole = TriggerFactory(application=scaling.application)
    neighbour = ScalingTriggerFactory(application=scaling.application)
    add(neighbour, NOON)
    own, all_of_it = add(scaling, NOON), add(whole, NOON + HOUR)
    assert list(list_calls_about(scaling.service, 5)) == [all_of_it, own]

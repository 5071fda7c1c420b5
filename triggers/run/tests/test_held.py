"""Calls that wait for the end of freeze windows: at the claim and in the sweep."""

from datetime import timedelta

import pytest
from django.utils import timezone

from triggers.calls.accept import accept_call
from triggers.calls.cancel import cancel_call
from triggers.calls.tests.test_frozen import freeze
from triggers.models import Action, Behaviour, CallState, FreezeWindow, TriggerCall
from triggers.reasons import Reason
from triggers.run.claim import claim_call
from triggers.run.held import refresh_held_calls
from triggers.run.turns import sweep_calls
from triggers.tests.calling import expire_lease, request_of
from triggers.tests.factories import ScalingTriggerFactory, TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def trigger(published):
    return TriggerFactory()


def end_windows():
    now = timezone.now()
    FreezeWindow.objects.update(starts_at=now - 2 * HOUR, ends_at=now - HOUR)


def age(*calls):
    """Let the calls be old enough for the sweep."""
    TriggerCall.objects.filter(pk__in=[call.pk for call in calls]).update(queued_at=timezone.now() - timedelta(minutes=1))


def test_a_call_that_waits_is_not_claimed_and_not_swept(trigger, published):
    freeze(trigger.application)
    call = accept_call(request_of(trigger))
    age(call)
    assert claim_call(trigger.application_id, "a") is None
    assert sweep_calls() == 0
    assert published == []


@pytest.mark.parametrize("behaviour", Behaviour)
def test_a_call_that_was_accepted_before_the_window_began_waits_too(trigger, behaviour):
    call = accept_call(request_of(trigger))
    window = freeze(trigger.application, behaviour)
    assert claim_call(trigger.application_id, "a") is None
    call.refresh_from_db()
    assert (call.state, call.held_until) == (CallState.QUEUED, window.ends_at)
    assert call.message.startswith("Waits until ")


def test_it_is_swept_and_claimed_when_the_window_has_ended(trigger, published):
    freeze(trigger.application)
    call = accept_call(request_of(trigger))
    age(call)
    end_windows()
    assert sweep_calls() == 1
    assert published == [trigger.application_id]
    claimed = claim_call(trigger.application_id, "a")
    assert (claimed.pk, claimed.state, claimed.held_until, claimed.message) == (call.pk, CallState.RUNNING, None, "")


def test_a_window_that_was_deleted_or_moved_counts_with_the_next_sweep(trigger, published):
    window = freeze(trigger.application)
    call = accept_call(request_of(trigger))
    age(call)
    FreezeWindow.objects.filter(pk=window.pk).update(ends_at=window.ends_at + HOUR, name="longer")
    assert sweep_calls() == 0
    call.refresh_from_db()
    assert call.held_until == window.ends_at + HOUR
    assert call.message.endswith("Frozen by longer.")
    window.delete()
    assert sweep_calls() == 1
    call.refresh_from_db()
    assert (call.held_until, call.message) == (None, "")


def test_a_label_that_was_removed_counts_with_the_next_sweep(trigger):
    trigger.application.freeze_label = "daily 00:00-24:00"
    trigger.application.save()
    call = accept_call(request_of(trigger))
    age(call)
    assert call.held_until is not None
    assert sweep_calls() == 0
    trigger.application.freeze_label = ""
    trigger.application.save()
    assert sweep_calls() == 1


def test_a_sweep_of_many_takes_few_queries(trigger, django_assert_num_queries):
    for one in (trigger, TriggerFactory(), TriggerFactory()):
        freeze(one.application)
        accept_call(request_of(one))
    with django_assert_num_queries(3):
        refresh_held_calls()


def test_what_is_not_frozen_overtakes_what_waits(trigger):
    freeze(trigger.application)
    accept_call(request_of(trigger))
    scaling = ScalingTriggerFactory(application=trigger.application)
    steps = [accept_call(request_of(scaling, step=1)) for _ in range(2)]
    claimed = claim_call(trigger.application_id, "a")
    assert claimed.pk == steps[0].pk
    assert claimed.merged_calls.get().pk == steps[1].pk
    claimed.state = CallState.SUCCEEDED
    claimed.save()
    restart = accept_call(
        type(request_of(trigger))(source="console", action=Action.RESTART, application_id=trigger.application_id)
    )
    TriggerCall.objects.filter(pk=steps[1].pk).update(state=CallState.SUCCEEDED)
    assert claim_call(trigger.application_id, "a").pk == restart.pk


def test_scalings_that_may_run_are_merged_without_those_that_wait(trigger):
    scaling = ScalingTriggerFactory(application=trigger.application)
    freeze(trigger.application, includes_scaling=True)
    held = accept_call(request_of(scaling, step=1))
    free = accept_call(request_of(scaling, step=2, override_reason="Too busy."))
    claimed = claim_call(trigger.application_id, "a")
    assert (claimed.pk, claimed.merged_calls.count()) == (free.pk, 0)
    held.refresh_from_db()
    assert held.state == CallState.QUEUED


def test_one_with_a_reason_runs_and_what_waits_stays(trigger):
    freeze(trigger.application)
    held = accept_call(request_of(trigger))
    free = accept_call(request_of(trigger, override_reason="A hole."))
    assert claim_call(trigger.application_id, "a").pk == free.pk
    held.refresh_from_db()
    assert held.state == CallState.QUEUED


def test_a_call_that_runs_when_the_window_begins_is_taken_over(trigger):
    accept_call(request_of(trigger))
    call = claim_call(trigger.application_id, "dead")
    freeze(trigger.application, Behaviour.REFUSE)
    expire_lease(call)
    assert claim_call(trigger.application_id, "b").pk == call.pk


def test_a_call_that_waits_can_be_cancelled(trigger):
    freeze(trigger.application)
    call = cancel_call(accept_call(request_of(trigger)), "ann")
    assert (call.state, call.reason) == (CallState.REJECTED, Reason.CANCELLED)


def test_frozen_applications_take_no_place_of_others_in_a_full_cluster(trigger, settings, published):
    settings.CLUSTER_CALLS = 1
    cluster = trigger.application.cluster
    calls = []
    for _ in range(3):
        frozen = TriggerFactory(application__cluster=cluster)
        freeze(frozen.application)
        calls.append(accept_call(request_of(frozen)))
    age(*calls)
    waiting = TriggerCallFactory(trigger=trigger, state=CallState.QUEUED)
    TriggerCall.objects.filter(pk=waiting.pk).update(queued_at=timezone.now() - timedelta(seconds=30))
    assert sweep_calls() == 1
    assert published == [trigger.application_id]

"""Calls that are requested in a freeze window."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from triggers.calls.accept import COVERED, accept_call
from triggers.hook_queries import find_linked_trigger
from triggers.models import Action, Behaviour, CallState, Trigger
from triggers.reasons import Reason
from triggers.tests.calling import request_of
from triggers.tests.factories import FreezeWindowFactory, ScalingTriggerFactory, TriggerFactory

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def freeze(application, behaviour=Behaviour.WAIT, hours=1, **more):
    now = timezone.now()
    times = {"starts_at": now - HOUR, "ends_at": now + hours * HOUR}
    return FreezeWindowFactory(application=application, behaviour=behaviour, **times, **more)


def test_a_redeploy_waits_until_the_window_ends(published, committed):
    trigger = TriggerFactory()
    window = freeze(trigger.application, name="weekend", reason="Nobody is here.")
    call = committed(request_of(trigger))
    call.refresh_from_db()
    assert (call.state, call.held_until, call.during_freezes) == (CallState.QUEUED, window.ends_at, None)
    assert call.message.startswith("Waits until ")
    assert call.message.endswith("Frozen by weekend: Nobody is here.")
    assert published == []


def test_further_redeploys_coalesce_into_the_one_that_waits():
    trigger = TriggerFactory()
    window = freeze(trigger.application)
    first, second = (accept_call(request_of(trigger)) for _ in range(2))
    assert (second.state, second.coalesced_into_id, second.held_until) == (CallState.COALESCED, first.pk, window.ends_at)
    assert second.message.startswith(f"{COVERED} Waits until ")


def test_a_window_that_refuses(published):
    trigger = TriggerFactory()
    freeze(trigger.application, Behaviour.REFUSE, name="release")
    call = accept_call(request_of(trigger))
    assert (call.state, call.reason, call.held_until) == (CallState.REJECTED, Reason.FROZEN, None)
    assert call.message.startswith(f"Redeploys of {trigger.application.name} are refused until ")
    assert call.message.endswith("Frozen by release. Nothing was done.")
    assert 3590 < call.retry_after <= 3600
    assert published == []


def test_a_window_of_the_cluster_and_one_of_another_place():
    trigger, other = TriggerFactory(), TriggerFactory()
    freeze(other.application)
    call = accept_call(request_of(trigger))
    assert call.held_until is None
    call.delete()
    window = freeze(trigger.application)
    window.application = None
    window.save()
    assert accept_call(request_of(trigger)).held_until == window.ends_at


@pytest.mark.parametrize("includes", [False, True])
def test_scalings_go_on_unless_the_window_includes_them(includes):
    trigger = ScalingTriggerFactory()
    freeze(trigger.application, includes_scaling=includes)
    assert (accept_call(request_of(trigger, step=1)).held_until is not None) is includes


def test_acts_of_people_are_never_frozen():
    trigger = TriggerFactory()
    freeze(trigger.application, Behaviour.REFUSE, includes_scaling=True)
    request = request_of(trigger)
    for act in (Action.STOP, Action.START, Action.RESTART, Action.DELETE):
        call = accept_call(type(request)(source=request.source, action=act, application_id=request.application_id))
        assert (call.state, call.held_until) == (CallState.QUEUED, None)


@pytest.fixture
def committed(published, django_capture_on_commit_callbacks):
    """Accept a call, and let happen what happens when it is committed."""

    def accept(request):
        with django_capture_on_commit_callbacks(execute=True):
            return accept_call(request)

    return accept


@pytest.mark.parametrize("behaviour", Behaviour)
def test_a_reason_lets_a_person_redeploy_beside_what_waits(behaviour, published, committed):
    trigger = TriggerFactory()
    window = freeze(trigger.application)
    waiting = accept_call(request_of(trigger))
    window.behaviour = behaviour
    window.save()
    user = User.objects.create_user("ann")
    call = committed(request_of(trigger, requested_by=user, override_reason="A hole has to be closed."))
    assert (call.state, call.held_until, call.during_freezes) == (CallState.QUEUED, None, True)
    assert call.pk != waiting.pk
    assert call.override_reason == "A hole has to be closed."
    assert "A hole has to be closed." in call.events.get().text
    assert published == [trigger.application_id]
    again = accept_call(request_of(trigger, requested_by=user, override_reason="Again."))
    assert again.coalesced_into_id == call.pk


def test_a_redeploy_that_is_covered_by_one_that_runs_now_does_not_wait():
    trigger = TriggerFactory()
    freeze(trigger.application)
    leader = accept_call(request_of(trigger, override_reason="Now."))
    call = accept_call(request_of(trigger))
    assert (call.coalesced_into_id, call.held_until, call.message) == (leader.pk, None, COVERED)


def test_the_trigger_can_be_set_to_call_during_freezes(published, committed):
    trigger = TriggerFactory(during_freezes=True)
    freeze(trigger.application, Behaviour.REFUSE)
    assert committed(request_of(trigger)).state == CallState.QUEUED
    assert published == [trigger.application_id]


def test_a_scaling_behind_a_redeploy_that_waits_gets_a_nudge_of_its_own(published, committed):
    trigger = TriggerFactory()
    scaling = ScalingTriggerFactory(application=trigger.application)
    freeze(trigger.application)
    committed(request_of(trigger))
    assert published == []
    committed(request_of(scaling, step=1))
    assert published == [trigger.application_id]


def test_a_label_freezes_too():
    trigger = TriggerFactory(application__freeze_label="daily 00:00-24:00 refuse")
    call = accept_call(request_of(trigger))
    assert (call.reason, call.message.split(" until ")[1]) == (
        Reason.FROZEN,
        "the window is changed or deleted. Frozen by the label windlass.freeze. Nothing was done.",
    )


def test_a_label_that_cannot_be_read_freezes_nothing():
    trigger = TriggerFactory(application__freeze_label="always")
    assert accept_call(request_of(trigger)).held_until is None


def test_without_a_window_the_hook_asks_nothing_more(django_assert_num_queries):
    trigger = TriggerFactory()
    linked = find_linked_trigger(trigger.link_fields)
    assert linked.may_be_frozen is False
    freeze(TriggerFactory().application)
    assert find_linked_trigger(trigger.link_fields).may_be_frozen is False
    freeze(trigger.application)
    assert find_linked_trigger(trigger.link_fields).may_be_frozen is True
    labelled = TriggerFactory(application__freeze_label="x")
    assert find_linked_trigger(labelled.link_fields).may_be_frozen is True
    Trigger.objects.filter(pk=labelled.pk).update(during_freezes=True)
    assert find_linked_trigger(labelled.link_fields).during_freezes is True

"""A repeated delivery gets the first call, in whatever state that is now."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from triggers.calls import accept, repetitions
from triggers.calls.accept import accept_call
from triggers.calls.repetitions import EVENT_ID_HEADERS, KEY_HEADER, REPEATED, REPLAYED_HEADER, fit_id
from triggers.hook.waiting import waiters
from triggers.models import CallState, TriggerCall
from triggers.tests.calling import PATH, end_call, link_parameters, request_of
from triggers.tests.factories import ScalingTriggerFactory, TriggerCallFactory, TriggerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("published")]
KEY = {KEY_HEADER: "8e03978e-40d5-43dd-bc93-6894a57f9324"}


def call_link(trigger, headers=KEY, **parameters):
    scaling = {"type": "scale_out", "step": "1"} if trigger.service_id else {}
    return Client().post(PATH, query_params={**link_parameters(trigger), **scaling, **parameters}, headers=headers)


def set_calls(**fields):
    TriggerCall.objects.update(**fields)


class TestAnswer:
    @pytest.mark.parametrize("header", [KEY_HEADER, *EVENT_ID_HEADERS])
    @pytest.mark.parametrize("factory", [TriggerFactory, ScalingTriggerFactory])
    def test_it_names_the_first_call_and_says_that_it_is_a_repetition(self, factory, header):
        trigger = factory()
        first, again = (call_link(trigger, {header: "d-1"}) for _ in range(2))
        assert first.json()["requestId"] == again.json()["requestId"] == str(trigger.calls.get().pk)
        assert (first.json()["message"], again.json()["message"]) == ("", REPEATED)
        assert (REPLAYED_HEADER in first, again[REPLAYED_HEADER]) == (False, "true")

    @pytest.mark.parametrize("state", [CallState.RUNNING, CallState.SUCCEEDED, CallState.FAILED, CallState.ROLLED_BACK])
    def test_it_has_the_present_state(self, state):
        trigger = TriggerFactory()
        call_link(trigger)
        set_calls(state=state, reason="r", message="What happened.")
        again = call_link(trigger)
        assert (again.status_code, again.json()["state"], again.json()["reason"]) == (200, state, "r")
        assert again.json()["message"] == f"What happened. {REPEATED}"

    @pytest.mark.parametrize(
        ("state", "status"), [(CallState.SUCCEEDED, 200), (CallState.FAILED, 500), (CallState.QUEUED, 504)]
    )
    def test_with_wait_it_is_the_outcome(self, monkeypatch, state, status):
        trigger = TriggerFactory()
        first = call_link(trigger)
        monkeypatch.setattr(waiters, "wait_for_end", end_call(state))
        again = call_link(trigger, wait="5")
        assert (again.status_code, again.json()["requestId"]) == (status, first.json()["requestId"])
        assert again[REPLAYED_HEADER] == "true"

    def test_a_coalesced_call_is_answered_as_such(self):
        trigger = TriggerFactory()
        covering = call_link(trigger, {}).json()
        first, again = call_link(trigger).json(), call_link(trigger).json()
        assert first["state"] == again["state"] == "coalesced"
        assert first["requestId"] == again["requestId"]
        assert again["coalescedInto"] == covering["requestId"]

    def test_what_a_person_cancelled_stays_cancelled(self):
        trigger = TriggerFactory()
        call_link(trigger)
        set_calls(state=CallState.REJECTED, reason="cancelled", message="Cancelled by ann.")
        again = call_link(trigger)
        assert (again.status_code, again.json()["reason"], again[REPLAYED_HEADER]) == (200, "cancelled", "true")
        assert trigger.calls.count() == 1


class TestIdentity:
    def test_a_key_with_other_parameters_is_a_422_and_does_nothing(self):
        trigger = ScalingTriggerFactory()
        first = call_link(trigger)
        for parameters in ({"type": "scale_in"}, {"step": "2"}):
            response = call_link(trigger, **parameters)
            assert (response.status_code, response.json()["code"]) == (422, "422")
            assert "nothing was done" in response.json()["message"]
        assert call_link(trigger).json()["requestId"] == first.json()["requestId"]
        assert trigger.calls.count() == 1

    def test_a_key_with_another_tag_is_a_422(self):
        trigger = TriggerFactory(tag_pattern=".*")
        assert [call_link(trigger, tag=tag).status_code for tag in ("v1", "v2", "v1")] == [200, 422, 200]

    @pytest.mark.parametrize("header", EVENT_ID_HEADERS)
    def test_one_event_can_call_a_trigger_by_links_with_different_parameters(self, header):
        trigger = ScalingTriggerFactory()
        for asked in ({}, {"type": "scale_in"}, {}, {"step": "5"}):
            assert call_link(trigger, {header: "event"}, **asked).status_code == 200
        assert sorted(trigger.calls.values_list("step", flat=True)) == [-1, 1, 5]

    def test_a_key_is_the_triggers_own(self):
        answers = [call_link(TriggerFactory()) for _ in range(2)]
        assert answers[0].json()["requestId"] != answers[1].json()["requestId"]

    def test_the_callers_key_takes_precedence_over_the_events_id(self):
        trigger = ScalingTriggerFactory()
        for key in ("a", "b", "a"):
            call_link(trigger, {KEY_HEADER: key, "X-GitHub-Delivery": "event"})
        assert trigger.calls.count() == 2

    def test_the_id_that_a_chain_of_gitlab_hooks_shares_is_no_key(self):
        trigger = ScalingTriggerFactory()
        for _ in range(2):
            call_link(trigger, {"X-Gitlab-Event-UUID": "event"})
        assert trigger.calls.count() == 2

    @pytest.mark.parametrize("key", ["k" * 255, "k" * 4000, "a\tb", "ü", "\xff\x00"])
    def test_keys_of_any_length_and_kind_are_distinguished(self, key):
        trigger = ScalingTriggerFactory()
        for other in (key, key + "x", key):
            assert call_link(trigger, {KEY_HEADER: other}).status_code == 200
        assert trigger.calls.count() == 2
        assert len(fit_id(key)) <= repetitions.DELIVERY_ID_LENGTH


class TestRefused:
    def test_a_call_refused_for_a_cool_down_can_be_retried_with_the_same_key(self):
        trigger = TriggerFactory(cooldown_seconds=60)
        call_link(trigger, {})
        set_calls(state=CallState.SUCCEEDED)
        refused = [call_link(trigger) for _ in range(2)]
        assert [(one.status_code, one.json()["reason"]) for one in refused] == [(429, "cooldown")] * 2
        assert not any(REPLAYED_HEADER in one for one in refused)
        set_calls(queued_at=timezone.now() - timedelta(seconds=61))
        accepted = [call_link(trigger).json() for _ in range(3)]
        assert len({one["requestId"] for one in accepted}) == 1
        assert trigger.calls.exclude(state=CallState.REJECTED).count() == 2

    def test_a_call_refused_for_a_full_queue_can_be_retried_with_the_same_key(self, settings):
        settings.HOOK_TRIGGER_QUEUE_LIMIT = 0
        trigger = TriggerFactory()
        assert call_link(trigger).status_code == 429
        settings.HOOK_TRIGGER_QUEUE_LIMIT = 1
        first, again = call_link(trigger), call_link(trigger)  # the call itself fills the queue again
        assert (first.status_code, again.status_code) == (200, 200)
        assert first.json()["requestId"] == again.json()["requestId"]

    def test_a_full_queue_takes_no_key_from_a_call_that_was_rejected_before(self, settings):
        trigger = TriggerFactory(cooldown_seconds=60)
        call_link(trigger, {})
        call_link(trigger)
        set_calls(queued_at=timezone.now() - timedelta(seconds=61))
        settings.HOOK_TRIGGER_QUEUE_LIMIT = 0
        TriggerCall.objects.filter(state=CallState.QUEUED).update(state=CallState.SUCCEEDED)
        assert call_link(trigger).status_code == 429
        assert trigger.calls.get(delivery_id=KEY[KEY_HEADER]).state == CallState.REJECTED

    def test_a_disabled_trigger_can_be_called_with_the_same_key_once_it_is_enabled(self):
        trigger = TriggerFactory(enabled=False)
        assert call_link(trigger).status_code == 403
        trigger.enabled = True
        trigger.save()
        assert call_link(trigger).json()["state"] == "queued"

    def test_a_refused_call_can_be_made_again_with_other_parameters(self):
        trigger = TriggerFactory(tag_pattern="v.*")
        assert [call_link(trigger, tag=tag).status_code for tag in ("x", "v1")] == [403, 200]


class TestCoolDown:
    def test_a_repetition_is_answered_while_it_lasts_and_does_not_prolong_it(self):
        trigger = ScalingTriggerFactory(cooldown_seconds=60)
        call_link(trigger)
        set_calls(queued_at=timezone.now() - timedelta(seconds=59))
        assert call_link(trigger).status_code == 200
        assert call_link(trigger, {}).status_code == 429
        set_calls(queued_at=timezone.now() - timedelta(seconds=61))
        assert call_link(trigger, {}).status_code == 200

    def test_rejected_calls_do_not_prolong_it(self):
        trigger = ScalingTriggerFactory(cooldown_seconds=60)
        TriggerCallFactory(trigger=trigger, step=1, queued_at=timezone.now() - timedelta(seconds=50))
        for reason in ("cooldown", "disabled", "cancelled"):
            TriggerCallFactory(trigger=trigger, step=1, state=CallState.REJECTED, reason=reason)
        response = call_link(trigger, {})
        assert (response.status_code, 9 <= int(response["Retry-After"]) <= 10) == (429, True)

    def test_it_is_by_direction_and_by_trigger(self):
        trigger = ScalingTriggerFactory(cooldown_seconds=60)
        other = ScalingTriggerFactory(cooldown_seconds=60, application=trigger.application, service=trigger.service)
        assert call_link(trigger, {}).status_code == 200
        assert call_link(trigger, {}, type="scale_in").status_code == 200
        assert call_link(other, {}).status_code == 200
        assert [call_link(trigger, {}, type=way).status_code for way in ("scale_out", "scale_in")] == [429, 429]


class TestRace:
    def test_the_second_to_record_it_gets_the_first_call(self, monkeypatch):
        """The other process commits after this one has looked; only the constraint prevents a second call."""
        request = request_of(ScalingTriggerFactory(), step=1, delivery_id="d")
        first = accept_call(request)
        found, blind = accept.find_first_call, [True]
        monkeypatch.setattr(accept, "find_first_call", lambda request: None if blind and blind.pop() else found(request))
        second = accept_call(request)
        assert (second.pk, second.is_repetition, blind) == (first.pk, True, [])

    def test_it_is_the_first_call_within_a_transaction_too(self, monkeypatch):
        request = request_of(ScalingTriggerFactory(), step=1, delivery_id="d")
        first = accept_call(request)
        found, blind = accept.find_first_call, [True]
        monkeypatch.setattr(accept, "find_first_call", lambda request: None if blind and blind.pop() else found(request))
        with accept.transaction.atomic():
            assert accept_call(request).pk == first.pk
            assert TriggerCall.objects.count() == 1

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("locking", [True, False])
    def test_a_storm_of_one_delivery_makes_one_call_that_all_callers_get(self, monkeypatch, locking):
        if not locking:
            monkeypatch.setattr(accept, "lock_application", lambda application_id: None)
        trigger = ScalingTriggerFactory()
        barrier, answers = threading.Barrier(6), []

        def send():
            barrier.wait()
            try:
                answers.append(call_link(trigger))
            finally:
                connection.close()

        senders = [threading.Thread(target=send) for _ in range(6)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        assert [answer.status_code for answer in answers] == [200] * 6
        assert {answer.json()["requestId"] for answer in answers} == {str(trigger.calls.get().pk)}
        assert sum(REPLAYED_HEADER in answer for answer in answers) == 5

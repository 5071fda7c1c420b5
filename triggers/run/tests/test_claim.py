from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from triggers.calls.accept import accept_call
from triggers.models import Action, CallState, TriggerCall
from triggers.run.claim import claim_call, list_merged_calls
from triggers.run.lease import extend_lease
from triggers.run.turns import sweep_calls
from triggers.tests.calling import expire_lease, request_of
from triggers.tests.factories import ScalingTriggerFactory, TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db


class TestClaim:
    def test_the_oldest_call_is_claimed_and_only_once(self, published):
        trigger = TriggerFactory()
        first = accept_call(request_of(trigger))
        claimed = claim_call(trigger.application_id, "a")
        assert (claimed.pk, claimed.state, claimed.lease_owner, claimed.attempts) == (first.pk, CallState.RUNNING, "a", 1)
        accept_call(request_of(trigger))
        assert claim_call(trigger.application_id, "b") is None

    def test_applications_do_not_delay_each_other(self, published):
        triggers = [TriggerFactory(), TriggerFactory()]
        for trigger in triggers:
            accept_call(request_of(trigger))
        assert all(claim_call(trigger.application_id, "a") for trigger in triggers)

    def test_the_database_itself_allows_one_running_call_an_application(self):
        trigger = TriggerFactory()
        TriggerCallFactory(trigger=trigger, state=CallState.RUNNING)
        with pytest.raises(IntegrityError), transaction.atomic():
            TriggerCallFactory(trigger=trigger, state=CallState.RUNNING)

    def test_queued_scaling_calls_of_the_service_are_claimed_together(self, published):
        trigger = ScalingTriggerFactory()
        accepted = [accept_call(request_of(trigger, step=step)) for step in (1, 2, -1)]
        leader = claim_call(trigger.application_id, "a")
        assert [member.pk for member in list_merged_calls(leader)] == [call.pk for call in accepted]
        assert set(trigger.calls.values_list("state", flat=True)) == {CallState.RUNNING}

    def test_scalings_behind_a_restart_wait_for_it(self, published):
        trigger = ScalingTriggerFactory()
        first, second = (accept_call(request_of(trigger, step=1)) for _ in range(2))
        accept_call(replace(request_of(trigger), trigger=None, service_id=None, action=Action.RESTART))
        behind = accept_call(request_of(trigger, step=1))
        leader = claim_call(trigger.application_id, "worker")
        assert [member.pk for member in list_merged_calls(leader)] == [first.pk, second.pk]
        behind.refresh_from_db()
        assert behind.state == CallState.QUEUED

    def test_an_expired_lease_is_taken_over_once(self, published):
        trigger = TriggerFactory()
        accept_call(request_of(trigger))
        call = claim_call(trigger.application_id, "dead")
        expire_lease(call)
        taken = claim_call(trigger.application_id, "b")
        assert (taken.pk, taken.lease_owner, taken.attempts) == (call.pk, "b", 2)
        assert claim_call(trigger.application_id, "c") is None

    @pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)], ids=["ahead", "behind"])
    def test_a_hosts_wrong_clock_neither_takes_a_lease_nor_gives_one(self, published, monkeypatch, ahead):
        """A lease holds and lapses by the database's clock, whichever host looks."""
        trigger, true_now = TriggerFactory(), timezone.now
        accept_call(request_of(trigger))
        call = claim_call(trigger.application_id, "true")
        with monkeypatch.context() as context:
            context.setattr(timezone, "now", lambda: true_now() + ahead)
            assert claim_call(trigger.application_id, "wrong") is None
            assert sweep_calls() == 0
            expire_lease(call, true_now())
            assert sweep_calls() == 1
            assert claim_call(trigger.application_id, "wrong").pk == call.pk
            extend_lease(call.pk, "wrong")
        assert claim_call(trigger.application_id, "true") is None

    def test_a_lease_that_was_given_before_the_databases_clock_was_set_back_is_taken_over(self, published):
        trigger = TriggerFactory()
        accept_call(request_of(trigger))
        call = claim_call(trigger.application_id, "dead")
        TriggerCall.objects.filter(pk=call.pk).update(lease_expires_at=timezone.now() + timedelta(hours=1))
        assert sweep_calls() == 1
        assert claim_call(trigger.application_id, "b").attempts == 2

    def test_a_nudge_for_a_busy_application_takes_no_lock(self, published, django_assert_num_queries):
        trigger = ScalingTriggerFactory()
        accept_call(request_of(trigger, step=1))
        claim_call(trigger.application_id, "worker")
        with django_assert_num_queries(1):
            assert claim_call(trigger.application_id, "another") is None

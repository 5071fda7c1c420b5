import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clusters.tests.factories import ClusterFactory
from triggers.calls import accept as calls
from triggers.calls.accept import accept_call, claim_call
from triggers.calls.requests import CallRequest
from triggers.models import Action, CallState, TriggerCall, TriggerCallEvent
from triggers.tests.factories import ScalingTriggerFactory, TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db


def request_of(trigger, **more):
    return CallRequest(
        source=TriggerCall.Source.HOOK,
        action=trigger.action,
        application_id=trigger.application_id,
        service_id=trigger.service_id,
        trigger=trigger,
        **more,
    )


def expire_lease(call, now=None):
    now = now or timezone.now()
    TriggerCall.objects.filter(pk=call.pk).update(lease_expires_at=now - timedelta(seconds=1))


class TestAccept:
    def test_a_call_is_committed_before_it_is_published(self, published, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True) as callbacks:
            call = accept_call(request_of(TriggerFactory()))
            assert published == []
        assert callbacks
        assert published == [str(call.pk)]
        assert TriggerCall.objects.get(pk=call.pk).state == CallState.QUEUED

    def test_an_equal_queued_redeploy_covers_a_new_one(self, published):
        trigger = TriggerFactory()
        first = accept_call(request_of(trigger))
        second = accept_call(request_of(trigger))
        assert (second.state, second.coalesced_into) == (CallState.COALESCED, first)
        assert second.completed_at

    def test_a_queued_redeploy_of_the_application_covers_one_of_its_services(self, published):
        scaling = ScalingTriggerFactory()
        whole = TriggerFactory(application=scaling.application)
        part = TriggerFactory(application=scaling.application, service=scaling.service)
        first = accept_call(request_of(whole))
        assert accept_call(request_of(part)).coalesced_into == first

    def test_a_queued_redeploy_of_a_service_does_not_cover_the_application(self, published):
        scaling = ScalingTriggerFactory()
        accept_call(request_of(TriggerFactory(application=scaling.application, service=scaling.service)))
        assert accept_call(request_of(TriggerFactory(application=scaling.application))).state == CallState.QUEUED

    def test_a_redeploy_asked_for_after_a_stop_is_not_covered_by_one_before_it(self, published):
        trigger = TriggerFactory()
        accept_call(request_of(trigger))
        accept_call(replace(request_of(trigger), trigger=None, action=Action.STOP))
        after = accept_call(request_of(trigger))
        assert (after.state, after.coalesced_into) == (CallState.QUEUED, None)
        assert accept_call(request_of(trigger)).coalesced_into == after

    def test_a_running_redeploy_covers_nothing(self, published):
        trigger = TriggerFactory()
        accept_call(request_of(trigger))
        claim_call(trigger.application_id, "worker")
        assert accept_call(request_of(trigger)).state == CallState.QUEUED

    def test_scaling_calls_are_never_dropped(self, published):
        trigger = ScalingTriggerFactory()
        assert {accept_call(request_of(trigger, step=1)).state for _ in range(5)} == {CallState.QUEUED}

    def test_a_disabled_trigger_rejects_and_records(self, published):
        call = accept_call(request_of(TriggerFactory(enabled=False)))
        assert (call.state, call.reason) == (CallState.REJECTED, "disabled")
        assert published == []

    def test_a_protected_application_rejects(self, published):
        call = accept_call(request_of(TriggerFactory(application__protected=True)))
        assert (call.state, call.reason) == (CallState.REJECTED, "protected")

    def test_a_protected_application_rejects_the_console_too(self, published):
        application = TriggerFactory(application__protected=True).application
        call = accept_call(
            CallRequest(source=TriggerCall.Source.CONSOLE, action=Action.REDEPLOY, application_id=application.pk)
        )
        assert (call.state, call.reason) == (CallState.REJECTED, "protected")

    def test_cool_down_counts_by_direction_and_not_from_rejected_calls(self, published):
        trigger = ScalingTriggerFactory(cooldown_seconds=60)
        assert accept_call(request_of(trigger, step=1)).state == CallState.QUEUED
        again = accept_call(request_of(trigger, step=1))
        assert (again.state, again.reason) == (CallState.REJECTED, "cooldown")
        assert accept_call(request_of(trigger, step=-1)).state == CallState.QUEUED
        TriggerCall.objects.filter(state=CallState.QUEUED).update(queued_at=timezone.now() - timedelta(seconds=61))
        assert accept_call(request_of(trigger, step=1)).state == CallState.QUEUED

    def test_a_repeated_delivery_gets_the_first_call(self, published):
        trigger = ScalingTriggerFactory()
        first = accept_call(request_of(trigger, step=1, delivery_id="d1"))
        assert accept_call(request_of(trigger, step=1, delivery_id="d1")).pk == first.pk
        assert accept_call(request_of(trigger, step=1, delivery_id="d2")).pk != first.pk
        assert accept_call(request_of(ScalingTriggerFactory(), step=1, delivery_id="d1")).pk != first.pk

    def test_a_full_queue_is_refused_and_records_nothing(self, published, settings):
        settings.HOOK_TRIGGER_QUEUE_LIMIT = 2
        trigger = ScalingTriggerFactory()
        for _ in range(2):
            accept_call(request_of(trigger, step=1))
        with pytest.raises(calls.QueueFull):
            accept_call(request_of(trigger, step=1))
        assert trigger.calls.count() == 2
        settings.HOOK_QUEUE_LIMIT = 2
        with pytest.raises(calls.QueueFull):
            accept_call(request_of(ScalingTriggerFactory(), step=1))

    def test_a_broker_that_is_away_costs_no_call(self, monkeypatch, django_capture_on_commit_callbacks):
        def refuse(*args, **kwargs):
            raise OSError("no broker")

        monkeypatch.setattr(calls.current_app, "send_task", refuse)
        with django_capture_on_commit_callbacks(execute=True):
            call = accept_call(request_of(TriggerFactory()))
        assert TriggerCall.objects.get(pk=call.pk).state == CallState.QUEUED


class TestClaim:
    def test_the_oldest_call_is_claimed_and_only_once(self, published):
        trigger = TriggerFactory()
        first = accept_call(request_of(trigger))
        claimed = claim_call(trigger.application_id, "a")
        assert (claimed.pk, claimed.state, claimed.lease_owner, claimed.attempts) == (first.pk, CallState.RUNNING, "a", 1)
        accept_call(request_of(trigger))
        assert claim_call(trigger.application_id, "b") is None

    def test_applications_do_not_hold_up_each_other(self, published):
        triggers = [TriggerFactory(), TriggerFactory()]
        for trigger in triggers:
            accept_call(request_of(trigger))
        assert all(claim_call(trigger.application_id, "a") for trigger in triggers)

    def test_the_database_itself_allows_one_running_call_an_application(self):
        trigger = TriggerFactory()
        TriggerCallFactory(trigger=trigger, state=CallState.RUNNING)
        with pytest.raises(IntegrityError), transaction.atomic():
            TriggerCallFactory(trigger=trigger, state=CallState.RUNNING)

    def test_queued_scaling_calls_of_the_service_are_taken_together(self, published):
        trigger = ScalingTriggerFactory()
        accepted = [accept_call(request_of(trigger, step=step)) for step in (1, 2, -1)]
        leader = claim_call(trigger.application_id, "a")
        assert [member.pk for member in calls.merged_calls(leader)] == [call.pk for call in accepted]
        assert set(trigger.calls.values_list("state", flat=True)) == {CallState.RUNNING}

    def test_scalings_behind_a_restart_wait_for_it(self, published):
        trigger = ScalingTriggerFactory()
        first, second = (accept_call(request_of(trigger, step=1)) for _ in range(2))
        accept_call(replace(request_of(trigger), trigger=None, service_id=None, action=Action.RESTART))
        behind = accept_call(request_of(trigger, step=1))
        leader = claim_call(trigger.application_id, "worker")
        assert [member.pk for member in calls.merged_calls(leader)] == [first.pk, second.pk]
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
        """A lease is held and lapses by the database's clock, whoever looks."""
        trigger, true_now = TriggerFactory(), timezone.now
        accept_call(request_of(trigger))
        call = claim_call(trigger.application_id, "true")
        with monkeypatch.context() as context:
            context.setattr(timezone, "now", lambda: true_now() + ahead)
            assert claim_call(trigger.application_id, "wrong") is None
            assert calls.sweep_calls() == 0
            expire_lease(call, true_now())
            assert calls.sweep_calls() == 1
            assert claim_call(trigger.application_id, "wrong").pk == call.pk
            calls.extend_lease(call.pk, "wrong")
        assert claim_call(trigger.application_id, "true") is None

    def test_a_lease_that_was_given_before_the_databases_clock_was_set_back_is_taken_over(self, published):
        trigger = TriggerFactory()
        accept_call(request_of(trigger))
        call = claim_call(trigger.application_id, "dead")
        TriggerCall.objects.filter(pk=call.pk).update(lease_expires_at=timezone.now() + timedelta(hours=1))
        assert calls.sweep_calls() == 1
        assert claim_call(trigger.application_id, "b").attempts == 2

    def test_who_lost_the_lease_can_write_nothing_more(self, published):
        trigger = TriggerFactory()
        accept_call(request_of(trigger))
        call = claim_call(trigger.application_id, "dead")
        expire_lease(call)
        claim_call(trigger.application_id, "b")
        with pytest.raises(calls.LeaseLost):
            calls.extend_lease(call.pk, "dead")
        with pytest.raises(calls.LeaseLost):
            calls.save_progress(call, "dead", plan="late")
        with pytest.raises(calls.LeaseLost):
            calls.finish_call(call, "dead", CallState.SUCCEEDED, "", "late")
        assert TriggerCall.objects.get(pk=call.pk).state == CallState.RUNNING


class TestFinish:
    def test_the_next_call_of_the_application_is_published(self, published, django_capture_on_commit_callbacks):
        trigger = TriggerFactory()
        accept_call(request_of(trigger))
        call = claim_call(trigger.application_id, "a")
        following = accept_call(request_of(trigger))
        with django_capture_on_commit_callbacks(execute=True):
            calls.finish_call(call, "a", CallState.SUCCEEDED, "", "Done.")
        assert published == [str(following.pk)]

    def test_merged_calls_end_with_their_leader(self, published):
        trigger = ScalingTriggerFactory()
        accepted = [accept_call(request_of(trigger, step=1)) for _ in range(3)]
        leader = claim_call(trigger.application_id, "a")
        calls.finish_call(leader, "a", CallState.SUCCEEDED, "", "All.", {"x": 1}, {accepted[1].pk: "Mine."})
        ended = {call.pk: call for call in TriggerCall.objects.all()}
        assert {call.state for call in ended.values()} == {CallState.SUCCEEDED}
        assert [ended[call.pk].message for call in accepted] == ["All.", "Mine.", "All."]
        assert all(call.completed_at and call.after == {"x": 1} for call in ended.values())


class TestSweep:
    def test_what_nobody_works_at_is_published_again(self, published):
        old = timezone.now() - timedelta(minutes=1)
        waiting = TriggerCallFactory(queued_at=old)
        expired = TriggerCallFactory(state=CallState.RUNNING, queued_at=old, lease_expires_at=old)
        TriggerCallFactory()  # young: its own message is still on the way
        held = TriggerCallFactory(state=CallState.RUNNING, lease_expires_at=timezone.now() + timedelta(seconds=10))
        TriggerCallFactory(trigger=held.trigger, queued_at=old)  # its turn comes when the running one ends
        TriggerCallFactory(state=CallState.SUCCEEDED, queued_at=old)
        assert calls.sweep_calls() == 2
        assert set(published) == {str(waiting.pk), str(expired.pk)}

    def test_an_application_is_published_once_however_many_calls_wait(self, published):
        trigger = ScalingTriggerFactory()
        old = timezone.now() - timedelta(minutes=1)
        oldest = TriggerCallFactory(trigger=trigger, queued_at=old - timedelta(seconds=1))
        TriggerCallFactory.create_batch(3, trigger=trigger, queued_at=old)
        calls.sweep_calls()
        assert published == [str(oldest.pk)]


class TestPrune:
    def test_old_calls_go_and_live_ones_stay(self, settings):
        settings.CALL_RETENTION_DAYS = 30
        old = timezone.now() - timedelta(days=31)
        live = TriggerCallFactory(queued_at=old)
        covered = TriggerCallFactory(trigger=live.trigger, state=CallState.COALESCED, coalesced_into=live, queued_at=old)
        young = TriggerCallFactory(state=CallState.FAILED)
        TriggerCallFactory(state=CallState.SUCCEEDED, queued_at=old)
        assert calls.prune_calls() == 1
        assert set(TriggerCall.objects.values_list("pk", flat=True)) == {live.pk, covered.pk, young.pk}

    def test_many_go_in_small_transactions_and_take_their_events_along(self, settings, monkeypatch):
        monkeypatch.setattr("clusters.batches.BATCH", 2)
        settings.CALL_RETENTION_DAYS = 30
        old = timezone.now() - timedelta(days=31)
        first = TriggerCallFactory(state=CallState.SUCCEEDED, queued_at=old)
        gone = TriggerCallFactory.create_batch(4, trigger=first.trigger, state=CallState.FAILED, queued_at=old)
        TriggerCallEvent.objects.create(call=gone[0], time=old, operation="pull", text="")
        young = TriggerCallFactory(trigger=first.trigger, state=CallState.COALESCED, coalesced_into=first)
        with CaptureQueriesContext(connection) as queries:
            assert calls.prune_calls() == 5
        assert not TriggerCallEvent.objects.exists()
        young.refresh_from_db()
        assert young.coalesced_into is None
        deletions = [one["sql"] for one in queries if one["sql"].startswith('DELETE FROM "triggers_triggercall"')]
        assert len(deletions) == 3

    def test_live_calls_do_not_push_ended_ones_out(self, settings):
        settings.CALL_RETENTION_COUNT = 2
        ended = TriggerCallFactory.create_batch(2, state=CallState.SUCCEEDED, queued_at=timezone.now() - timedelta(hours=1))
        TriggerCallFactory.create_batch(3, trigger=ended[0].trigger)
        assert calls.prune_calls() == 0

    def test_the_count_is_kept_by_dropping_the_oldest(self, settings):
        settings.CALL_RETENTION_COUNT = 2
        ended = [
            TriggerCallFactory(state=CallState.SUCCEEDED, queued_at=timezone.now() - timedelta(minutes=age)) for age in range(4)
        ]
        assert calls.prune_calls() == 2
        assert set(TriggerCall.objects.values_list("pk", flat=True)) == {ended[0].pk, ended[1].pk}


class TestFairness:
    """A cluster has at most CLUSTER_CALLS running calls."""

    @pytest.fixture(autouse=True)
    def two_at_once(self, settings):
        settings.CLUSTER_CALLS = 2

    def make_calls(self, number):
        """One each of as many applications of a cluster, in this order."""
        cluster = ClusterFactory()
        return [accept_call(request_of(TriggerFactory(application__cluster=cluster))) for _ in range(number)]

    def test_a_full_cluster_takes_no_further_call_and_another_cluster_does(self, published):
        accepted = self.make_calls(3)
        claimed = [claim_call(call.application_id, "worker") for call in accepted]
        assert [call and call.pk for call in claimed] == [accepted[0].pk, accepted[1].pk, None]
        other = accept_call(request_of(TriggerFactory()))
        assert claim_call(other.application_id, "worker").pk == other.pk

    def test_scale_calls_that_run_as_one_count_once(self, published):
        trigger = ScalingTriggerFactory()
        for _ in range(3):
            accept_call(request_of(trigger, step=1))
        claim_call(trigger.application_id, "worker")
        other = accept_call(request_of(TriggerFactory(application__cluster=trigger.application.cluster)))
        assert claim_call(other.application_id, "worker")

    def test_a_call_of_a_full_cluster_is_taken_over(self, published):
        accepted = self.make_calls(2)
        for call in accepted:
            claim_call(call.application_id, "dead")
        expire_lease(accepted[0])
        assert claim_call(accepted[0].application_id, "worker").attempts == 2

    def test_who_waits_gets_the_place_before_the_application_that_had_it(self, published, django_capture_on_commit_callbacks):
        busy, other, waiting = self.make_calls(3)
        again = accept_call(replace(request_of(busy.trigger), action=Action.STOP, trigger=None))
        TriggerCall.objects.filter(pk=again.pk).update(queued_at=busy.queued_at + timedelta(microseconds=1))
        leader = claim_call(busy.application_id, "worker")
        claim_call(other.application_id, "worker")
        published.clear()
        with django_capture_on_commit_callbacks(execute=True):
            calls.finish_call(leader, "worker", CallState.SUCCEEDED, "", "")
        assert published == [str(waiting.pk)]
        claim_call(waiting.application_id, "worker")
        published.clear()
        with django_capture_on_commit_callbacks(execute=True):
            calls.finish_call(calls.get_call(other.pk), "worker", CallState.SUCCEEDED, "", "")
        assert published == [str(again.pk)]

    def test_the_sweep_nudges_no_more_than_may_run(self, published):
        accepted = self.make_calls(5)
        old = timezone.now() - timedelta(seconds=60)
        TriggerCall.objects.update(queued_at=old)
        published.clear()
        assert calls.sweep_calls() == 2
        for call in accepted[:2]:
            claim_call(call.application_id, "worker")
        assert calls.sweep_calls() == 1

    def test_a_nudge_for_a_busy_application_takes_no_lock(self, published, django_assert_num_queries):
        trigger = ScalingTriggerFactory()
        accept_call(request_of(trigger, step=1))
        claim_call(trigger.application_id, "worker")
        with django_assert_num_queries(1):
            assert claim_call(trigger.application_id, "another") is None

    @pytest.mark.django_db(transaction=True)
    def test_the_limit_is_exact_for_many_workers(self, published):
        accepted = self.make_calls(6)
        barrier, claimed = threading.Barrier(6), []

        def work(call):
            barrier.wait()
            try:
                claimed.append(claim_call(call.application_id, "worker"))
            finally:
                connection.close()

        workers = [threading.Thread(target=work, args=(call,)) for call in accepted]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert sum(call is not None for call in claimed) == 2

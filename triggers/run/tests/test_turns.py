import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from clusters.tests.factories import ClusterFactory
from triggers.calls.accept import accept_call
from triggers.models import Action, CallState, TriggerCall
from triggers.run.claim import claim_call
from triggers.run.results import finish_call
from triggers.run.turns import sweep_calls
from triggers.selectors import get_call
from triggers.tests.calling import expire_lease, request_of
from triggers.tests.factories import ScalingTriggerFactory, TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db


class TestSweep:
    def test_what_nobody_works_at_is_nudged_again(self, published):
        old = timezone.now() - timedelta(minutes=1)
        waiting = TriggerCallFactory(queued_at=old)
        expired = TriggerCallFactory(state=CallState.RUNNING, queued_at=old, lease_expires_at=old)
        TriggerCallFactory()  # just queued: its own nudge is still on the way
        held = TriggerCallFactory(state=CallState.RUNNING, lease_expires_at=timezone.now() + timedelta(seconds=10))
        TriggerCallFactory(trigger=held.trigger, queued_at=old)  # its turn comes when the running one ends
        TriggerCallFactory(state=CallState.SUCCEEDED, queued_at=old)
        assert sweep_calls() == 2
        assert set(published) == {waiting.application_id, expired.application_id}

    def test_an_application_is_nudged_once_however_many_calls_wait(self, published):
        trigger = ScalingTriggerFactory()
        old = timezone.now() - timedelta(minutes=1)
        TriggerCallFactory(trigger=trigger, queued_at=old - timedelta(seconds=1))
        TriggerCallFactory.create_batch(3, trigger=trigger, queued_at=old)
        sweep_calls()
        assert published == [trigger.application_id]


class TestFairness:
    """A cluster has at most CLUSTER_CALLS running calls."""

    @pytest.fixture(autouse=True)
    def two_at_once(self, settings):
        settings.CLUSTER_CALLS = 2

    def make_calls(self, number):
        """Make one call for each of as many applications of a cluster, in this order."""
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

    def test_a_waiting_application_is_nudged_before_the_one_that_ran(self, published, django_capture_on_commit_callbacks):
        busy, other, waiting = self.make_calls(3)
        again = accept_call(replace(request_of(busy.trigger), action=Action.STOP, trigger=None))
        TriggerCall.objects.filter(pk=again.pk).update(queued_at=busy.queued_at + timedelta(microseconds=1))
        leader = claim_call(busy.application_id, "worker")
        claim_call(other.application_id, "worker")
        published.clear()
        with django_capture_on_commit_callbacks(execute=True):
            finish_call(leader, "worker", CallState.SUCCEEDED, "", "")
        assert published == [waiting.application_id]
        claim_call(waiting.application_id, "worker")
        published.clear()
        with django_capture_on_commit_callbacks(execute=True):
            finish_call(get_call(other.pk), "worker", CallState.SUCCEEDED, "", "")
        assert published == [again.application_id]

    def test_the_sweep_nudges_no_more_than_can_run(self, published):
        accepted = self.make_calls(5)
        old = timezone.now() - timedelta(seconds=60)
        TriggerCall.objects.update(queued_at=old)
        published.clear()
        assert sweep_calls() == 2
        for call in accepted[:2]:
            claim_call(call.application_id, "worker")
        assert sweep_calls() == 1

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

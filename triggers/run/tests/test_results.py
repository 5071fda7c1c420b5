import pytest

from clusters.engine.snapshot import ServiceSnapshot, Snapshot
from triggers.calls.accept import accept_call
from triggers.models import CallState, TriggerCall
from triggers.run.claim import claim_call
from triggers.run.lease import LeaseLost, extend_lease
from triggers.run.results import finish_call, save_progress
from triggers.tests.calling import expire_lease, request_of
from triggers.tests.factories import ScalingTriggerFactory, TriggerFactory

pytestmark = pytest.mark.django_db
AFTER = Snapshot({"web": ServiceSnapshot(running=2)})


class TestFinish:
    def test_the_application_is_nudged_for_its_next_call(self, published, django_capture_on_commit_callbacks):
        trigger = TriggerFactory()
        accept_call(request_of(trigger))
        call = claim_call(trigger.application_id, "a")
        following = accept_call(request_of(trigger))
        with django_capture_on_commit_callbacks(execute=True):
            finish_call(call, "a", CallState.SUCCEEDED, "", "Done.")
        assert published == [following.application_id]

    def test_merged_calls_end_with_the_call_that_leads_them(self, published):
        trigger = ScalingTriggerFactory()
        accepted = [accept_call(request_of(trigger, step=1)) for _ in range(3)]
        leader = claim_call(trigger.application_id, "a")
        finish_call(leader, "a", CallState.SUCCEEDED, "", "All.", AFTER, {accepted[1].pk: "Mine."})
        ended = {call.pk: call for call in TriggerCall.objects.all()}
        assert {call.state for call in ended.values()} == {CallState.SUCCEEDED}
        assert [ended[call.pk].message for call in accepted] == ["All.", "Mine.", "All."]
        assert all(call.completed_at and call.after == AFTER.to_json() for call in ended.values())

    def test_a_worker_that_lost_the_lease_can_write_nothing_more(self, published):
        trigger = TriggerFactory()
        accept_call(request_of(trigger))
        call = claim_call(trigger.application_id, "dead")
        expire_lease(call)
        claim_call(trigger.application_id, "b")
        with pytest.raises(LeaseLost):
            extend_lease(call.pk, "dead")
        with pytest.raises(LeaseLost):
            save_progress(call, "dead", plan="late")
        with pytest.raises(LeaseLost):
            finish_call(call, "dead", CallState.SUCCEEDED, "", "late")
        assert TriggerCall.objects.get(pk=call.pk).state == CallState.RUNNING

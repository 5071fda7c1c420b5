"""Cancelling a call in every state."""

import pytest
from django.db import DatabaseError

from clusters.engine.driver import Outcome
from clusters.engine.errors import Cancelled, EngineUnreachable
from clusters.engine.snapshot import ServiceSnapshot, Snapshot
from triggers.calls.accept import accept_call
from triggers.calls.cancel import AlreadyEnded, cancel_call
from triggers.models import Action, CallState, TriggerCall
from triggers.run import lease, runner
from triggers.run.claim import claim_call
from triggers.run.results import save_progress
from triggers.tests.calling import expire_lease, request_of, run
from triggers.tests.factories import ScalingTriggerFactory, TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(lease, "CANCEL_BEAT_SECONDS", 0.0)


class TestQueued:
    def test_it_ends_at_once_and_nothing_is_done(self, driver, published):
        call = accept_call(request_of(TriggerFactory()))
        cancel_call(call, "bob")
        call = run(call)
        assert (call.state, call.reason, call.cancelled_by) == (CallState.REJECTED, "cancelled", "bob")
        assert call.message == "Cancelled by bob while it waited; nothing was done."
        assert (call.started_at, driver.done) == (None, [])
        assert call.completed_at
        assert [event.operation for event in call.events.all()] == ["cancel"]

    def test_the_next_one_of_the_application_runs(self, driver, published):
        trigger = ScalingTriggerFactory()
        first, second = (accept_call(request_of(trigger, step=1)) for _ in range(2))
        cancel_call(first, "bob")
        run(first)
        second.refresh_from_db()
        assert (second.state, second.target_replicas) == (CallState.SUCCEEDED, 4)

    def test_it_no_longer_covers_a_call(self, published):
        trigger = TriggerFactory()
        first = accept_call(request_of(trigger))
        covered = accept_call(request_of(trigger))
        cancel_call(first, "bob")
        assert accept_call(request_of(trigger)).state == CallState.QUEUED
        with pytest.raises(AlreadyEnded):
            cancel_call(covered, "bob")

    def test_it_starts_no_cool_down(self, published):
        trigger = TriggerFactory(cooldown_seconds=60)
        cancel_call(accept_call(request_of(trigger)), "bob")
        assert accept_call(request_of(trigger)).state == CallState.QUEUED


@pytest.mark.parametrize("state", [CallState.SUCCEEDED, CallState.FAILED, CallState.REJECTED])
def test_a_call_that_has_ended_is_not_cancelled(state):
    call = TriggerCallFactory(state=state)
    with pytest.raises(AlreadyEnded):
        cancel_call(call, "bob")
    call.refresh_from_db()
    assert (call.state, call.cancel_requested_at) == (state, None)


class TestRunning:
    def test_its_worker_notices_and_the_driver_rolls_back(self, driver):
        call = accept_call(request_of(TriggerFactory()))

        def during(check):
            cancel_call(call, "bob")
            with pytest.raises(Cancelled, match=r"^Cancelled by bob\.$"):
                check()
            driver.outcome = Outcome("rolled_back", "cancelled", "Cancelled by bob. The previous container is running again.")

        driver.during = during
        call = run(call)
        assert (call.state, call.reason) == (CallState.ROLLED_BACK, "cancelled")
        assert "Cancelled by bob: the call stops at the next safe step." in [event.text for event in call.events.all()]

    def test_before_it_has_begun_nothing_is_touched(self, driver):
        call = accept_call(request_of(TriggerFactory()))
        claim_call(call.application_id, "dead")
        cancel_call(call, "bob")
        expire_lease(call)
        call = run(call)
        assert (call.state, call.reason) == (CallState.FAILED, "cancelled")
        assert call.message == "Cancelled by bob. Nothing was touched."
        assert driver.done == []

    def test_the_message_says_when_it_was_too_late(self, driver):
        call = accept_call(request_of(TriggerFactory()))
        driver.during = lambda check: cancel_call(call, "bob")
        call = run(call)
        assert (call.state, call.message) == (CallState.SUCCEEDED, "Done. It was too late to cancel it.")

    def test_the_first_of_two_cancellations_counts(self, driver):
        call = accept_call(request_of(TriggerFactory()))
        claim_call(call.application_id, "worker")
        cancel_call(call, "bob")
        assert cancel_call(call, "eve").cancelled_by == "bob"

    @pytest.mark.parametrize("named", [0, 1])
    def test_scale_calls_that_run_as_one_change_are_cancelled_together(self, driver, named):
        trigger = ScalingTriggerFactory()
        accepted = [accept_call(request_of(trigger, step=1)) for _ in range(2)]

        def during(check):
            assert cancel_call(accepted[named], "bob").pk == accepted[0].pk
            with pytest.raises(Cancelled):
                check()
            driver.outcome = Outcome("rolled_back", "cancelled", "Cancelled by bob. It was rolled back.")

        driver.during = during
        run(accepted[0])
        ended = TriggerCall.objects.filter(pk__in=[call.pk for call in accepted])
        assert set(ended.values_list("state", "reason")) == {("rolled_back", "cancelled")}

    def test_an_engine_that_is_away_ends_it_with_what_is_known(self, driver, monkeypatch):
        monkeypatch.setattr(runner, "ENGINE_PATIENCE", 0.0)
        call = accept_call(request_of(TriggerFactory()))

        def during(check):
            cancel_call(call, "bob")
            with pytest.raises(Cancelled):
                check()
            raise EngineUnreachable("The engine does not answer.")

        driver.during = during
        call = run(call)
        assert (call.state, call.reason) == (CallState.FAILED, "cancelled")
        assert call.message.startswith("Cancelled by bob. The engine does not answer. The last event shows how far it came")


def leave_half_done(call, before, **more):
    """Leave the call as a lost worker would, and cancel it."""
    claimed = claim_call(call.application_id, "dead")
    service = call.service.name if call.action == Action.SCALING else "web"
    snapshot = {"services": {service: {"running": before}}}  # as it was stored before snapshots had a version
    save_progress(claimed, "dead", plan="the plan of the lost worker", before=snapshot, **more)
    cancel_call(call, "bob")
    expire_lease(call)


class TestTakenOver:
    def test_containers_that_a_scaling_has_added_are_removed_again(self, driver, monkeypatch):
        monkeypatch.setattr(
            "triggers.tests.scripted_driver.ScriptedObservation.snapshot",
            lambda self: Snapshot({trigger.service.name: ServiceSnapshot(running=self.running)}),
        )
        trigger = ScalingTriggerFactory()
        call = accept_call(request_of(trigger, step=2))
        leave_half_done(call, 3, target_replicas=5)
        driver.running = 4
        call = run(call)
        assert driver.done == [f"scale {trigger.service.name} 4 -> 3"]
        assert (call.state, call.reason, call.attempts) == (CallState.ROLLED_BACK, "cancelled", 2)
        assert call.message.endswith("was rolled back.")

    def test_a_redeploy_is_begun_only_as_far_as_it_is_rolled_back(self, driver):
        call = accept_call(request_of(TriggerFactory()))
        leave_half_done(call, 3)
        raised = []

        def execute(client, plan, report, check, progress, keep):
            with pytest.raises(Cancelled) as caught:
                check()
            raised.append(caught.value.message)
            return Outcome("failed", "cancelled", "Cancelled by bob. Nothing was replaced.")

        driver.execute = execute
        call = run(call)
        assert raised == ["Cancelled by bob."]
        assert (call.state, call.reason) == (CallState.ROLLED_BACK, "cancelled")

    def test_the_message_says_what_cannot_be_rolled_back(self, driver):
        call = accept_call(request_of(TriggerFactory()))
        leave_half_done(call, 2)
        driver.execute = lambda *_: Outcome("failed", "cancelled", "")
        call = run(call)
        assert (call.state, call.reason) == (CallState.FAILED, "cancelled")
        assert call.message == "Cancelled by bob. Part of the change remains: web runs 3 (before: 2)."


def test_a_database_that_fails_while_a_cancellation_is_looked_for_ends_nothing(driver, monkeypatch):
    def during(check):
        with monkeypatch.context() as patch:
            patch.setattr(lease, "read_cancellation", lambda call_id: (_ for _ in ()).throw(DatabaseError("locked")))
            patch.setattr(lease.connection, "close", lambda: None)
            check()

    driver.during = during
    assert run(accept_call(request_of(TriggerFactory()))).state == CallState.SUCCEEDED

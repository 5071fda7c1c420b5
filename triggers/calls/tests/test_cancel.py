"""Cancelling a call at every state, and handing one over when its worker is stopped."""

import pytest

from clusters.engine.driver import Outcome
from clusters.engine.errors import Cancelled, EngineUnreachable
from triggers.calls import accept as calls
from triggers.calls.accept import AlreadyEnded, accept_call, cancel_call, claim_call
from triggers.calls.tests.test_accept import expire_lease, request_of
from triggers.models import Action, CallState, TriggerCall
from triggers.run import runner
from triggers.run.runner import Stopping
from triggers.run.tests.test_runner import driver, run  # noqa: F401 - a fixture
from triggers.tests.factories import ScalingTriggerFactory, TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(runner, "CANCEL_BEAT_SECONDS", 0.0)


@pytest.fixture
def stopping(monkeypatch):
    own = Stopping()
    monkeypatch.setattr(runner, "stopping", own)
    return own


class TestQueued:
    def test_it_ends_at_once_and_nothing_is_done(self, driver, published):  # noqa: F811
        call = accept_call(request_of(TriggerFactory()))
        cancel_call(call, "bob")
        call = run(call)
        assert (call.state, call.reason, call.cancelled_by) == (CallState.REJECTED, "cancelled", "bob")
        assert call.message == "Cancelled by bob while it waited; nothing was done."
        assert (call.started_at, driver.done) == (None, [])
        assert call.completed_at
        assert [event.operation for event in call.events.all()] == ["cancel"]

    def test_the_next_one_of_the_application_runs(self, driver, published):  # noqa: F811
        trigger = ScalingTriggerFactory()
        first, second = (accept_call(request_of(trigger, step=1)) for _ in range(2))
        cancel_call(first, "bob")
        run(first)
        second.refresh_from_db()
        assert (second.state, second.target_replicas) == (CallState.SUCCEEDED, 4)

    def test_it_covers_no_call_any_more(self, published):
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
def test_what_has_ended_is_not_cancelled(state):
    call = TriggerCallFactory(state=state)
    with pytest.raises(AlreadyEnded):
        cancel_call(call, "bob")
    call.refresh_from_db()
    assert (call.state, call.cancel_requested_at) == (state, None)


class TestRunning:
    def test_its_worker_finds_out_and_the_driver_goes_back(self, driver):  # noqa: F811
        call = accept_call(request_of(TriggerFactory()))

        def during(check):
            cancel_call(call, "bob")
            with pytest.raises(Cancelled, match=r"^Cancelled by bob\.$"):
                check()
            driver.outcome = Outcome("rolled_back", "cancelled", "Cancelled by bob. The previous container is running again.")

        driver.during = during
        call = run(call)
        assert (call.state, call.reason) == (CallState.ROLLED_BACK, "cancelled")
        assert "bob cancels it: it stops at the next safe step." in [event.text for event in call.events.all()]

    def test_before_it_has_begun_nothing_is_touched(self, driver):  # noqa: F811
        call = accept_call(request_of(TriggerFactory()))
        claim_call(call.application_id, "dead")
        cancel_call(call, "bob")
        expire_lease(call)
        call = run(call)
        assert (call.state, call.reason) == (CallState.FAILED, "cancelled")
        assert call.message == "Cancelled by bob. Nothing was touched."
        assert driver.done == []

    def test_too_late_is_said(self, driver):  # noqa: F811
        call = accept_call(request_of(TriggerFactory()))
        driver.during = lambda check: cancel_call(call, "bob")
        call = run(call)
        assert (call.state, call.message) == (CallState.SUCCEEDED, "Done. It was too late to cancel it.")

    def test_asking_twice_keeps_the_first(self, driver):  # noqa: F811
        call = accept_call(request_of(TriggerFactory()))
        claim_call(call.application_id, "worker")
        cancel_call(call, "bob")
        assert cancel_call(call, "eve").cancelled_by == "bob"

    @pytest.mark.parametrize("named", [0, 1])
    def test_scale_calls_that_run_as_one_change_are_cancelled_together(self, driver, named):  # noqa: F811
        trigger = ScalingTriggerFactory()
        accepted = [accept_call(request_of(trigger, step=1)) for _ in range(2)]

        def during(check):
            assert cancel_call(accepted[named], "bob").pk == accepted[0].pk
            with pytest.raises(Cancelled):
                check()
            driver.outcome = Outcome("rolled_back", "cancelled", "Cancelled by bob. It went back.")

        driver.during = during
        run(accepted[0])
        ended = TriggerCall.objects.filter(pk__in=[call.pk for call in accepted])
        assert set(ended.values_list("state", "reason")) == {("rolled_back", "cancelled")}

    def test_an_engine_that_is_away_ends_it_with_what_is_known(self, driver, monkeypatch):  # noqa: F811
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
        assert call.message.startswith("Cancelled by bob. The engine does not answer. The last event says how far it came")


def leave_half_done(call, before, **more):
    """As a lost worker left it, and then somebody cancels."""
    claimed = claim_call(call.application_id, "dead")
    snapshot = {"services": {"web": {"running": before}}}
    if call.action == Action.SCALING:
        snapshot = {"services": {call.service.name: {"running": before}}}
    calls.save_progress(claimed, "dead", plan="the plan of the lost worker", before=snapshot, **more)
    cancel_call(call, "bob")
    expire_lease(call)


class TestTakenOver:
    def test_containers_that_a_scaling_has_added_go_again(self, driver, monkeypatch):  # noqa: F811
        monkeypatch.setattr(
            "triggers.run.tests.test_runner.Observation.snapshot",
            lambda self: {"services": {trigger.service.name: {"running": self.running}}},
        )
        trigger = ScalingTriggerFactory()
        call = accept_call(request_of(trigger, step=2))
        leave_half_done(call, 3, target_replicas=5)
        driver.running = 4
        call = run(call)
        assert driver.done == [f"scale {trigger.service.name} 4 -> 3"]
        assert (call.state, call.reason, call.attempts) == (CallState.ROLLED_BACK, "cancelled", 2)
        assert call.message.endswith("it runs as before.")

    def test_a_redeploy_is_begun_only_as_far_as_it_goes_back(self, driver):  # noqa: F811
        call = accept_call(request_of(TriggerFactory()))
        leave_half_done(call, 3)
        raised = []

        def execute(client, plan, report, check, progress):
            with pytest.raises(Cancelled) as caught:
                check()
            raised.append(caught.value.message)
            return Outcome("failed", "cancelled", "Cancelled by bob. Nothing was replaced.")

        driver.execute = execute
        call = run(call)
        assert raised == ["Cancelled by bob."]
        assert (call.state, call.reason) == (CallState.ROLLED_BACK, "cancelled")

    def test_what_cannot_be_taken_back_is_told(self, driver):  # noqa: F811
        call = accept_call(request_of(TriggerFactory()))
        leave_half_done(call, 2)
        driver.execute = lambda *_: Outcome("failed", "cancelled", "")
        call = run(call)
        assert (call.state, call.reason) == (CallState.FAILED, "cancelled")
        assert call.message == "Cancelled by bob. Some of the change stays: web runs 3 (before: 2)."


class TestHandOver:
    @pytest.mark.django_db(transaction=True)
    def test_after_the_grace_the_lease_is_given_back_and_the_next_worker_goes_on(self, driver, published, stopping):  # noqa: F811
        call = accept_call(request_of(TriggerFactory()))

        def during(check):
            check()
            stopping.begin(0)
            check()

        driver.during = during
        published.clear()
        call = run(call)
        assert (call.state, call.lease_owner, driver.done) == (CallState.RUNNING, "", [])
        assert published == [str(call.pk)]
        stopping.__init__()
        driver.during = lambda check: None
        call = run(call)
        assert (call.state, call.attempts) == (CallState.SUCCEEDED, 1)
        assert [event.operation for event in call.events.all()] == ["create", "hand over", "resume", "create", "end"]

    def test_within_the_grace_it_goes_on(self, driver, stopping):  # noqa: F811
        def during(check):
            stopping.begin(60)
            check()

        driver.during = during
        assert run(accept_call(request_of(TriggerFactory()))).state == CallState.SUCCEEDED

    def test_no_call_is_taken_any_more_and_its_nudge_goes_on(self, driver, published, stopping, monkeypatch):  # noqa: F811
        monkeypatch.setattr(runner, "REPUBLISH_SECONDS", 0.0)
        call = accept_call(request_of(TriggerFactory()))
        published.clear()
        stopping.begin(60)
        threads = set(runner.threading.enumerate())
        run(call)
        for thread in set(runner.threading.enumerate()) - threads:
            thread.join()
        assert call.state == CallState.QUEUED
        assert published == [str(call.pk)]

    def test_a_cancelled_call_goes_back_before_its_worker_ends(self, driver, stopping):  # noqa: F811
        call = accept_call(request_of(TriggerFactory()))

        def during(check):
            cancel_call(call, "bob")
            stopping.begin(0)
            with pytest.raises(Cancelled):
                check()
            driver.outcome = Outcome("rolled_back", "cancelled", "Cancelled by bob. It went back.")

        driver.during = during
        assert run(call).state == CallState.ROLLED_BACK


def test_a_database_that_hiccups_while_it_is_asked_for_a_cancellation_ends_nothing(driver, monkeypatch):  # noqa: F811
    def during(check):
        with monkeypatch.context() as patch:
            patch.setattr(calls, "read_cancellation", lambda call_id: (_ for _ in ()).throw(runner.DatabaseError("locked")))
            patch.setattr(runner.connection, "close", lambda: None)
            check()

    driver.during = during
    assert run(accept_call(request_of(TriggerFactory()))).state == CallState.SUCCEEDED

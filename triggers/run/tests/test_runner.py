"""The runner over a scripted driver: what it requests, what it records, and what it survives."""

import threading
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from clusters.engine.driver import Intent, Outcome
from clusters.engine.errors import EngineUnreachable, PlanRefused, TargetMissing
from clusters.engine.hooks import describe_done
from clusters.engine.snapshot import ServiceSnapshot, Snapshot
from clusters.tests.pooled import pooled as pooled
from triggers.calls.accept import accept_call
from triggers.calls.events import add_event
from triggers.calls.requests import CallRequest
from triggers.models import Action, CallState, TriggerCall
from triggers.run import lease, runner
from triggers.run.claim import MAXIMUM_ATTEMPTS, claim_call
from triggers.run.lease import CANCEL_BEAT_SECONDS
from triggers.run.results import save_targets
from triggers.run.scaling import ScalingStep
from triggers.tests.calling import expire_lease, request_of, run
from triggers.tests.factories import ScalingTriggerFactory, TriggerCallFactory, TriggerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("driver")]


def test_a_redeploy_ends_as_its_outcome_says_with_plan_events_before_and_after(driver):
    call = run(accept_call(request_of(TriggerFactory())))
    assert (call.state, call.message, call.plan) == (CallState.SUCCEEDED, "Done.", "redeploy everything")
    assert call.before == call.after == Snapshot({"web": ServiceSnapshot(running=3)}).to_json()
    assert [event.text for event in call.events.all()] == ["web_4 created", "Done."]
    assert call.queued_at <= call.started_at <= call.completed_at


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("factory", [TriggerFactory, ScalingTriggerFactory])
def test_no_connection_is_held_while_the_engine_works(driver, pooled, monkeypatch, factory):
    """A worker has more threads than connections, and needs one for each lease now and then."""
    held = []

    def note(place):
        held.extend([place] if pooled() else [])

    @contextmanager
    def connect(endpoint, credentials):
        note("connect")
        yield

    def observe(client, target, really=driver.observe):
        note("observe")
        return really(client, target)

    def work(check):
        note("after an event and progress")
        moments[0] += CANCEL_BEAT_SECONDS
        check()
        note("after a look for a cancellation")

    moments = [0.0]
    monkeypatch.setattr(lease, "time", SimpleNamespace(monotonic=lambda: moments[0]))
    monkeypatch.setattr(runner, "EngineClient", connect)
    monkeypatch.setattr(runner.time, "sleep", lambda seconds: note("sleep"))
    monkeypatch.setattr(driver, "observe", observe)
    execute = driver.execute
    monkeypatch.setattr(driver, "execute", lambda *arguments: note("execute") or execute(*arguments))
    driver.failures, driver.during, driver.progress = [EngineUnreachable("Nobody listens there.")], work, [("web", 1, 3)]
    trigger = factory()
    call = run(accept_call(request_of(trigger, step=None if factory is TriggerFactory else 1)))
    assert (call.state, driver.progress != [], held) == (CallState.SUCCEEDED, True, [])


@pytest.mark.django_db(transaction=True)
def test_no_connection_is_held_while_a_lost_worker_is_waited_for(driver, pooled, monkeypatch):
    call = accept_call(request_of(TriggerFactory()))
    claim_call(call.application_id, "lost")
    expire_lease(call)
    held = []
    monkeypatch.setattr(lease.CallLease, "outwait_predecessor", lambda lease: held.append(pooled()))
    assert (run(call).state, held) == (CallState.SUCCEEDED, [False])


def test_the_plan_is_made_with_the_calls_tag(driver):
    run(accept_call(request_of(TriggerFactory(tag_pattern="2"), tag="2")))
    run(accept_call(request_of(TriggerFactory())))
    assert [intent.tag for intent in driver.intents] == ["2", ""]


@pytest.mark.parametrize("state", ["failed", "rolled_back"])
def test_a_bad_outcome_is_recorded_as_it_is(driver, state):
    driver.outcome = Outcome(state, "unhealthy", "web_1 did not get healthy.")
    call = run(accept_call(request_of(TriggerFactory())))
    assert (call.state, call.reason, call.message) == (state, "unhealthy", "web_1 did not get healthy.")
    assert call.events.last().level == "error"


def test_a_nul_character_from_an_engine_loses_no_outcome(driver):
    driver.outcome = Outcome("failed", "exited", "It said \0 and left.")
    call = run(accept_call(request_of(TriggerFactory())))
    assert (call.state, call.message) == (CallState.FAILED, "It said  and left.")


def test_a_refused_plan_touches_nothing_and_says_why(driver):
    driver.refusal = PlanRefused("Its image is known by id only.", code="no_image_reference")
    call = run(accept_call(request_of(TriggerFactory())))
    assert (call.state, call.reason) == (CallState.FAILED, "no_image_reference")
    assert call.message == "Its image is known by id only. Nothing was touched."
    assert driver.done == []


def test_a_missing_application_fails_with_its_reason(driver):
    driver.failures = [TargetMissing("shop is not on the engine.")]
    call = run(accept_call(request_of(TriggerFactory())))
    assert (call.state, call.reason, call.message) == (CallState.FAILED, "not_found", "shop is not on the engine.")


def test_an_engine_that_comes_back_is_retried(driver):
    driver.failures = [EngineUnreachable("The engine does not answer: Connection refused.")] * 2
    call = run(accept_call(request_of(TriggerFactory())))
    assert call.state == CallState.SUCCEEDED
    assert [event.operation for event in call.events.all()][:2] == ["wait", "wait"]


def test_an_engine_that_stays_away_fails_the_call(driver, monkeypatch):
    monkeypatch.setattr(runner, "ENGINE_PATIENCE", 0.0)
    driver.failures = [EngineUnreachable("The engine does not answer: Connection refused.")]
    call = run(accept_call(request_of(TriggerFactory())))
    assert (call.state, call.reason) == (CallState.FAILED, "engine_unreachable")
    assert call.message.endswith("Nothing was touched.")


def test_patience_with_an_engine_begins_when_it_is_lost_not_when_the_call_began(driver, monkeypatch):
    """A long redeploy whose engine hiccups late is resumed like any other."""
    monkeypatch.setattr(runner, "ENGINE_PATIENCE", 1.0)
    lost = [EngineUnreachable("The engine closed the connection.")]
    long_ago = runner.time.monotonic
    shift = [0.0]
    monkeypatch.setattr(runner.time, "monotonic", lambda: long_ago() + shift[0])

    def lose_engine_once(check):
        shift[0] = 3.0
        if lost:
            raise lost.pop()

    driver.during = lose_engine_once
    call = run(accept_call(request_of(TriggerFactory())))
    assert call.state == CallState.SUCCEEDED


@pytest.mark.parametrize("on_failure", ["rollback", "pause"])
def test_the_plan_knows_what_to_do_on_failure_and_the_state_before(driver, on_failure):
    call = run(accept_call(request_of(TriggerFactory(on_failure=on_failure))))
    assert driver.intents == [Intent(on_failure, Snapshot.from_json(call.before), call=str(call.pk))]


def test_another_attempt_knows_which_pre_deploy_steps_were_reported_as_done(driver):
    def report_and_lose(check):
        add_event(call, "info", "predeploy", describe_done("web"))
        driver.during = lambda check: None
        raise EngineUnreachable("The engine does not answer.")

    call = accept_call(request_of(TriggerFactory()))
    driver.during = report_and_lose
    assert run(call).state == CallState.SUCCEEDED
    first, second = driver.intents
    assert first.predeployed == frozenset()
    assert describe_done("web") in second.predeployed


def test_a_call_without_a_trigger_is_rolled_back_on_failure(driver):
    application = TriggerFactory().application
    run(accept_call(CallRequest(action="redeploy", source="console", application_id=application.pk)))
    assert driver.intents[0].on_failure == "rollback"


def test_the_latest_progress_is_kept_by_service(driver):
    driver.progress = [("web", 0, 3), ("api", 1, 1), ("web", 2, 3)]
    call = run(accept_call(request_of(TriggerFactory())))
    assert call.progress == {"web": [2, 3], "api": [1, 1]}


def test_completed_work_is_not_repeated_when_the_engine_is_lost_right_after(driver):
    def lose_engine(check):
        driver.failures = [EngineUnreachable("gone")]

    driver.during = lose_engine
    call = run(accept_call(request_of(TriggerFactory())))
    assert (call.state, call.after) == (CallState.SUCCEEDED, None)
    assert len(driver.done) == 1


def test_a_defect_in_windlass_ends_the_call_and_is_reported(driver):
    driver.failures = [KeyError("oops")]
    call = run(accept_call(request_of(TriggerFactory())))
    assert (call.state, call.reason) == (CallState.FAILED, "internal_error")
    assert "oops" not in call.message


def test_a_step_becomes_an_absolute_count_once(driver):
    trigger = ScalingTriggerFactory()
    call = accept_call(request_of(trigger, step=2))
    claimed = claim_call(trigger.application_id, "dead")
    save_targets(claimed, "dead", [ScalingStep(claimed, 3, 5, 5)], Snapshot())
    expire_lease(claimed)
    driver.running = 4  # the lost worker had created one of two
    call = run(call)
    assert driver.done == [f"scale {trigger.service.name} 4 -> 5"]
    assert (call.state, call.target_replicas, call.attempts) == (CallState.SUCCEEDED, 5, 2)


def test_a_step_counts_once_when_the_engine_is_lost_in_the_middle(driver):
    trigger = ScalingTriggerFactory()

    def lose_engine_once(check):
        if driver.running == 3:
            driver.running = 4  # one of two is there already
            raise EngineUnreachable("The engine closed the connection.")

    driver.during = lose_engine_once
    call = run(accept_call(request_of(trigger, step=2)))
    assert (call.state, driver.running, driver.done) == (CallState.SUCCEEDED, 5, [f"scale {trigger.service.name} 4 -> 5"])


def test_queued_scale_calls_are_one_change_and_each_says_its_part(driver):
    trigger = ScalingTriggerFactory(max_replicas=6)
    accepted = [accept_call(request_of(trigger, step=step)) for step in (2, 4, -1)]
    run(accepted[0])
    ended = [TriggerCall.objects.get(pk=call.pk) for call in accepted]
    assert driver.done == [f"scale {trigger.service.name} 3 -> 5"]
    assert [call.target_replicas for call in ended] == [5, 6, 5]
    assert [call.message.split(" Done")[0] for call in ended] == [
        "Scaling out from 3 to 5.",
        "Scaling out by 4 from 5 to 9 is limited to 6.",
        "Scaling in from 6 to 5.",
    ]
    assert {call.state for call in ended} == {CallState.SUCCEEDED}


@pytest.mark.parametrize(("running", "step"), [(6, 5), (1, -3)])
def test_being_at_the_bound_already_is_a_success_that_changed_nothing(driver, running, step):
    driver.running = running
    call = run(accept_call(request_of(ScalingTriggerFactory(max_replicas=6), step=step)))
    assert (call.state, call.reason) == (CallState.SUCCEEDED, "unchanged")
    assert call.message.endswith(f" is limited to {running}.")
    assert driver.done == []


def test_a_call_that_loses_every_worker_is_given_up(driver):
    call = TriggerCallFactory(
        state=CallState.RUNNING,
        attempts=MAXIMUM_ATTEMPTS,
        started_at=timezone.now(),
        lease_owner="dead",
        lease_expires_at=timezone.now() - timedelta(seconds=1),
    )
    call = run(call)
    assert (call.state, call.reason) == (CallState.FAILED, "lost")
    assert driver.done == []


def test_a_call_that_was_started_with_a_wrong_clock_is_taken_over(driver):
    call = TriggerCallFactory(
        state=CallState.RUNNING,
        attempts=1,
        started_at=timezone.now() - timedelta(hours=2),
        lease_owner="dead",
        lease_expires_at=timezone.now() - timedelta(seconds=1),
    )
    assert run(call).state == CallState.SUCCEEDED


def test_a_nudge_for_an_application_without_a_queue_or_an_unknown_one_does_nothing(driver):
    run(TriggerCallFactory(state=CallState.SUCCEEDED))
    runner.run_next_call(0)
    assert driver.done == []


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_run_each_call_once(driver):
    trigger = TriggerFactory()
    call = accept_call(request_of(trigger))
    barrier = threading.Barrier(4)

    def work():
        barrier.wait()
        try:
            runner.run_next_call(call.application_id)
        finally:
            runner.connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert driver.done == ["redeploy everything"]
    call.refresh_from_db()
    assert (call.state, call.attempts) == (CallState.SUCCEEDED, 1)


@pytest.mark.django_db(transaction=True)
def test_many_scale_calls_from_many_threads_add_up(driver):
    trigger = ScalingTriggerFactory()
    driver.running = 1

    def hook():
        try:
            for _ in range(5):
                runner.run_next_call(accept_call(request_of(trigger, step=1)).application_id)
        finally:
            runner.connection.close()

    threads = [threading.Thread(target=hook) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while waiting := trigger.calls.filter(state=CallState.QUEUED).first():
        runner.run_next_call(waiting.application_id)
    assert driver.running == 21
    assert set(trigger.calls.values_list("state", flat=True)) == {CallState.SUCCEEDED}


@pytest.mark.django_db(transaction=True)
def test_equal_redeploys_from_many_threads_leave_one_queued(driver, published):
    trigger = TriggerFactory()
    barrier = threading.Barrier(6)

    def hook():
        barrier.wait()
        try:
            accept_call(request_of(trigger))
        finally:
            runner.connection.close()

    threads = [threading.Thread(target=hook) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    states = list(trigger.calls.values_list("state", flat=True))
    assert sorted(states) == [CallState.COALESCED] * 5 + [CallState.QUEUED]
    assert trigger.action == Action.REDEPLOY

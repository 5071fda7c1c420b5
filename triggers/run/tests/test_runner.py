"""The runner over a scripted driver: what it asks, what it records, what it survives."""

import threading
from contextlib import nullcontext
from datetime import timedelta
from time import sleep

import pytest
from django.db import connection
from django.utils import timezone

from clusters.engine.driver import Intent, Outcome
from clusters.engine.errors import EngineUnreachable, PlanRefused, TargetMissing
from clusters.engine.snapshot import ServiceSnapshot, Snapshot
from triggers.calls.accept import accept_call
from triggers.calls.requests import CallRequest
from triggers.models import Action, CallState, TriggerCall
from triggers.run import runner
from triggers.run.claim import MAXIMUM_ATTEMPTS, claim_call
from triggers.run.lease import CallLease, LeaseLost
from triggers.run.results import hand_over_call, save_targets
from triggers.tests.calling import expire_lease, request_of
from triggers.tests.factories import ScalingTriggerFactory, TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db
outwait_predecessor = CallLease.outwait_predecessor


class Observation:
    def __init__(self, running):
        self.running = running

    def current_count(self, service):
        return self.running

    def snapshot(self):
        return Snapshot({"web": ServiceSnapshot(running=self.running)})


class Plan:
    def __init__(self, text, empty=False):
        self.text, self.empty = text, empty

    def as_text(self):
        return self.text

    def is_empty(self):
        return self.empty


class ScriptedDriver:
    """Counts `running`; each of `failures` is raised once, at the next observe."""

    minimum_replicas = 1
    takes_back_earlier = False

    def __init__(self):
        self.running = 3
        self.failures = []
        self.refusal = None
        self.outcome = Outcome("succeeded", "", "Done.")
        self.during = lambda check: None
        self.done = []
        self.intents = []
        self.progress = []  # told in the middle of the work

    def observe(self, client, target):
        if self.failures:
            raise self.failures.pop(0)
        return Observation(self.running)

    def plan_redeploy(self, observation, intent):
        self.intents.append(intent)
        if self.refusal:
            raise self.refusal
        return Plan("redeploy everything")

    def plan_scale(self, observation, service, replicas, intent):
        return Plan(f"scale {service} {observation.running} -> {replicas}", observation.running == replicas)

    def execute(self, client, plan, report, check, progress):
        check()
        report("info", "create", "web_4 created")
        for step in self.progress:
            progress(*step)
        self.during(check)
        self.done.append(plan.text)
        if "->" in plan.text and self.outcome.state == "succeeded":
            self.running = int(plan.text.split("-> ")[1])
        return self.outcome


@pytest.fixture(autouse=True)
def driver(monkeypatch, published):
    scripted = ScriptedDriver()
    monkeypatch.setattr(runner, "driver_for", lambda source: scripted)
    monkeypatch.setattr(runner, "EngineClient", lambda endpoint, credentials: nullcontext())
    monkeypatch.setattr(runner.time, "sleep", lambda seconds: None)
    return scripted


def run(call):
    runner.run_next_call(call.application_id)
    call.refresh_from_db()
    return call


def test_a_redeploy_ends_as_its_outcome_says_with_plan_events_before_and_after(driver):
    call = run(accept_call(request_of(TriggerFactory())))
    assert (call.state, call.message, call.plan) == (CallState.SUCCEEDED, "Done.", "redeploy everything")
    assert call.before == call.after == Snapshot({"web": ServiceSnapshot(running=3)}).to_json()
    assert [event.text for event in call.events.all()] == ["web_4 created", "Done."]
    assert call.queued_at <= call.started_at <= call.completed_at


def test_the_plan_is_asked_for_with_the_calls_tag(driver):
    run(accept_call(request_of(TriggerFactory(tag_pattern="2"), tag="2")))
    run(accept_call(request_of(TriggerFactory())))
    assert [intent.tag for intent in driver.intents] == ["2", ""]


@pytest.mark.parametrize("state", ["failed", "rolled_back"])
def test_a_bad_outcome_is_recorded_as_it_is(driver, state):
    driver.outcome = Outcome(state, "unhealthy", "web_1 did not get healthy.")
    call = run(accept_call(request_of(TriggerFactory())))
    assert (call.state, call.reason, call.message) == (state, "unhealthy", "web_1 did not get healthy.")
    assert call.events.last().level == "error"


def test_a_null_character_from_an_engine_loses_no_outcome(driver):
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


def test_an_engine_that_comes_back_is_waited_for(driver):
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
def test_the_plan_knows_what_to_do_on_failure_and_how_it_was_before(driver, on_failure):
    call = run(accept_call(request_of(TriggerFactory(on_failure=on_failure))))
    assert driver.intents == [Intent(on_failure, Snapshot.from_json(call.before))]


def test_a_call_of_no_trigger_goes_back_on_failure(driver):
    application = TriggerFactory().application
    run(accept_call(CallRequest(action="redeploy", source="console", application_id=application.pk)))
    assert driver.intents[0].on_failure == "rollback"


def test_progress_is_kept_by_service_as_it_was_told_last(driver):
    driver.progress = [("web", 0, 3), ("api", 1, 1), ("web", 2, 3)]
    call = run(accept_call(request_of(TriggerFactory())))
    assert call.progress == {"web": [2, 3], "api": [1, 1]}


def test_work_done_is_not_done_again_when_the_engine_goes_away_right_after(driver):
    def lose_engine(check):
        driver.failures = [EngineUnreachable("gone")]

    driver.during = lose_engine
    call = run(accept_call(request_of(TriggerFactory())))
    assert (call.state, call.after) == (CallState.SUCCEEDED, None)
    assert len(driver.done) == 1


def test_a_defect_of_our_own_ends_the_call_truthfully(driver):
    driver.failures = [KeyError("oops")]
    call = run(accept_call(request_of(TriggerFactory())))
    assert (call.state, call.reason) == (CallState.FAILED, "internal_error")
    assert "oops" not in call.message


def test_a_step_becomes_an_absolute_count_once(driver):
    trigger = ScalingTriggerFactory()
    call = accept_call(request_of(trigger, step=2))
    claimed = claim_call(trigger.application_id, "dead")
    save_targets(claimed, "dead", [(claimed, 5)], Snapshot())
    expire_lease(claimed)
    driver.running = 4  # the lost worker had created one of two
    call = run(call)
    assert driver.done == [f"scale {trigger.service.name} 4 -> 5"]
    assert (call.state, call.target_replicas, call.attempts) == (CallState.SUCCEEDED, 5, 2)


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


def test_a_worker_whose_lease_was_lost_stops_and_writes_no_outcome(driver):
    trigger = TriggerFactory()
    call = accept_call(request_of(trigger))

    def lose_lease(check):
        TriggerCall.objects.filter(pk=call.pk).update(lease_owner="another")

    driver.during = lose_lease
    call = run(call)
    assert (call.state, call.lease_owner) == (CallState.RUNNING, "another")


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


def test_a_call_over_its_limit_is_stopped(driver, settings):
    settings.CALL_LIMIT_SECONDS = 0
    call = run(accept_call(request_of(TriggerFactory())))
    assert (call.state, call.reason) == (CallState.FAILED, "timed_out")


def test_a_call_that_was_begun_by_a_clock_that_is_wrong_is_taken_over(driver):
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
def test_the_lease_is_extended_while_the_call_runs(driver, settings):
    settings.CALL_LEASE_SECONDS = 1.5
    call = accept_call(request_of(TriggerFactory()))
    expirations = []

    def watch_lease(check):
        deadline = threading.Event()
        while len(set(expirations)) < 3 and not deadline.wait(0.02):
            check()
            expirations.append(TriggerCall.objects.values_list("lease_expires_at", flat=True).get(pk=call.pk))

    driver.during = watch_lease
    assert run(call).state == CallState.SUCCEEDED
    assert sorted(expirations) == expirations


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


@pytest.mark.django_db(transaction=True)
def test_who_takes_a_call_over_from_a_worker_that_lives_begins_after_that_one_has_stopped(driver, settings, monkeypatch):
    """The database's clock has jumped ahead: the lease of a worker that is well seems over."""
    settings.CALL_LEASE_SECONDS = 3
    monkeypatch.setattr(runner.time, "sleep", sleep)
    monkeypatch.setattr(CallLease, "outwait_predecessor", outwait_predecessor)
    call = accept_call(request_of(TriggerFactory()))
    story = []

    def take_over():
        driver.during = lambda check: story.append("the second one works")
        runner.run_next_call(call.application_id)
        connection.close()

    second = threading.Thread(target=take_over)

    def work_until_stopped(check):
        expire_lease(call)
        second.start()
        try:
            for _ in range(1000):
                check()
                sleep(0.01)
        except LeaseLost:
            story.append("the first one stops")
            raise

    driver.during = work_until_stopped
    run(call)
    second.join()
    call.refresh_from_db()
    assert story == ["the first one stops", "the second one works"]
    assert (call.state, call.attempts) == (CallState.SUCCEEDED, 2)


def test_a_call_that_was_handed_over_goes_on_at_once(driver, monkeypatch):
    monkeypatch.setattr(CallLease, "outwait_predecessor", lambda lease: pytest.fail("nobody is to be waited for"))
    trigger = TriggerFactory()
    call = accept_call(request_of(trigger))
    hand_over_call(claim_call(trigger.application_id, "leaving"), "leaving")
    assert run(call).state == CallState.SUCCEEDED

"""The lease of a running call: extended while the call runs, lost, taken over and given back."""

import threading
from time import sleep

import pytest
from django.db import connection

from triggers.calls.accept import accept_call
from triggers.models import CallState, TriggerCall
from triggers.run import runner
from triggers.run.claim import claim_call
from triggers.run.lease import CallLease, LeaseLost
from triggers.run.results import hand_over_call
from triggers.tests.calling import expire_lease, request_of, run
from triggers.tests.factories import TriggerFactory

pytestmark = pytest.mark.django_db
outwait_predecessor = CallLease.outwait_predecessor


def test_a_worker_whose_lease_was_lost_stops_and_writes_no_outcome(driver):
    trigger = TriggerFactory()
    call = accept_call(request_of(trigger))

    def lose_lease(check):
        TriggerCall.objects.filter(pk=call.pk).update(lease_owner="another")

    driver.during = lose_lease
    call = run(call)
    assert (call.state, call.lease_owner) == (CallState.RUNNING, "another")


def test_a_call_over_its_limit_is_stopped(driver, settings):
    settings.CALL_LIMIT_SECONDS = 0
    call = run(accept_call(request_of(TriggerFactory())))
    assert (call.state, call.reason) == (CallState.FAILED, "timed_out")


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
def test_a_worker_that_takes_a_call_over_waits_until_the_other_one_has_stopped(driver, settings, monkeypatch):
    """The database's clock has jumped ahead: the lease of a worker that is alive seems to be over."""
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


def test_a_call_that_was_handed_over_is_resumed_at_once(driver, monkeypatch):
    monkeypatch.setattr(CallLease, "outwait_predecessor", lambda lease: pytest.fail("there is nobody to wait for"))
    trigger = TriggerFactory()
    call = accept_call(request_of(trigger))
    hand_over_call(claim_call(trigger.application_id, "leaving"), "leaving")
    assert run(call).state == CallState.SUCCEEDED

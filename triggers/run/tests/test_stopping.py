"""A worker that is being stopped: it hands over the calls that it runs, and takes no others."""

import pytest

from clusters.engine.driver import Outcome
from clusters.engine.errors import Cancelled
from triggers.calls.accept import accept_call
from triggers.calls.cancel import cancel_call
from triggers.models import CallState
from triggers.run import lease, runner
from triggers.run.stopping import Stopping
from triggers.tests.calling import request_of, run
from triggers.tests.factories import TriggerFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def stopping(monkeypatch):
    own = Stopping()
    monkeypatch.setattr(runner, "stopping", own)
    monkeypatch.setattr(lease, "stopping", own)
    monkeypatch.setattr(lease, "CANCEL_BEAT_SECONDS", 0.0)
    return own


@pytest.mark.django_db(transaction=True)
def test_after_the_grace_period_the_lease_is_given_back_and_another_worker_resumes(driver, published, stopping):
    call = accept_call(request_of(TriggerFactory()))

    def during(check):
        check()
        stopping.begin(0)
        check()

    driver.during = during
    published.clear()
    call = run(call)
    assert (call.state, call.lease_owner, driver.done) == (CallState.RUNNING, "", [])
    assert published == [call.application_id]
    stopping.__init__()
    driver.during = lambda check: None
    call = run(call)
    assert (call.state, call.attempts) == (CallState.SUCCEEDED, 1)
    assert [event.operation for event in call.events.all()] == ["create", "hand over", "resume", "create", "end"]


def test_within_the_grace_period_the_call_continues(driver, stopping):
    def during(check):
        stopping.begin(60)
        check()

    driver.during = during
    assert run(accept_call(request_of(TriggerFactory()))).state == CallState.SUCCEEDED


def test_no_more_calls_are_taken_and_their_nudges_are_published_again(driver, published, stopping, monkeypatch):
    monkeypatch.setattr(runner, "REPUBLISH_SECONDS", 0.0)
    call = accept_call(request_of(TriggerFactory()))
    published.clear()
    stopping.begin(60)
    threads = set(runner.threading.enumerate())
    run(call)
    for thread in set(runner.threading.enumerate()) - threads:
        thread.join()
    assert call.state == CallState.QUEUED
    assert published == [call.application_id]


def test_a_cancelled_call_is_rolled_back_before_its_worker_ends(driver, stopping):
    call = accept_call(request_of(TriggerFactory()))

    def during(check):
        cancel_call(call, "bob")
        stopping.begin(0)
        with pytest.raises(Cancelled):
            check()
        driver.outcome = Outcome("rolled_back", "cancelled", "Cancelled by bob. It was rolled back.")

    driver.during = during
    assert run(call).state == CallState.ROLLED_BACK

import threading
import time
import uuid

import pytest

from tests.harness.eventually import eventually
from triggers.hook.waiting import CallWaiters, TooManyWaiters
from triggers.models import CallState, TriggerCall
from triggers.tests.factories import TriggerCallFactory

pytestmark = pytest.mark.django_db(transaction=True)


def test_all_waiting_callers_return_when_their_call_ends():
    waiters = CallWaiters(limit=100)
    ending, going_on = TriggerCallFactory(), TriggerCallFactory()
    returned = []

    def wait(call, seconds):
        waiters.wait_for_end(call.pk, seconds)
        returned.append(call.pk)

    threads = [threading.Thread(target=wait, args=(ending, 30)) for _ in range(20)]
    threads.append(threading.Thread(target=wait, args=(going_on, 0.5)))
    started = time.monotonic()
    for thread in threads:
        thread.start()
    TriggerCall.objects.filter(pk=ending.pk).update(state=CallState.SUCCEEDED)
    for thread in threads:
        thread.join()
    assert time.monotonic() - started < 15
    assert (returned.count(ending.pk), returned.count(going_on.pk)) == (20, 1)


def test_waiting_for_a_call_that_has_ended_returns_soon():
    started = time.monotonic()
    CallWaiters(limit=1).wait_for_end(TriggerCallFactory(state=CallState.FAILED).pk, 30)
    assert time.monotonic() - started < 15


def test_a_place_is_free_again_after_its_caller_has_left():
    waiters = CallWaiters(limit=1)
    call = TriggerCallFactory(state=CallState.SUCCEEDED)
    for _ in range(3):
        waiters.wait_for_end(call.pk, 30)
    with pytest.raises(TooManyWaiters):
        CallWaiters(limit=0).wait_for_end(call.pk, 1)


class Caller:
    """A caller that waits for a call of its own in a thread. `outcome` is empty while it waits."""

    def __init__(self, waiters, share):
        self.outcome, self.hang_ups = "", []
        self._waiters, self._share = waiters, share
        self._thread = threading.Thread(target=self._wait)
        self._thread.start()
        eventually(lambda: self.hang_ups or self.outcome, within=15, what="the caller waits")

    def _wait(self):
        try:
            self._waiters.wait_for_end(uuid.uuid4(), 30, self._share, self.hang_ups.append)
            self.outcome = "returned"
        except TooManyWaiters:
            self.outcome = "displaced"

    def join(self):
        self._thread.join(15)
        return self.outcome


@pytest.fixture
def make_waiters():
    made = []

    def make(limit):
        made.append(CallWaiters(limit))
        return made[-1]

    yield make
    for waiters in made:
        waiters.stop()
        eventually(lambda waiters=waiters: waiters._poller is None, within=15, what="the polling thread ends")


class TestShares:
    def test_another_trigger_gets_the_place_of_the_one_who_has_waited_longest_at_the_greediest(self, make_waiters):
        waiters = make_waiters(4)
        greedy = [Caller(waiters, share=1) for _ in range(4)]
        other = Caller(waiters, share=2)
        assert greedy[0].join() == "displaced"
        assert [caller.outcome for caller in [*greedy[1:], other]] == [""] * 4
        waiters.stop()
        assert {caller.join() for caller in [*greedy[1:], other]} == {"returned"}

    def test_places_that_are_shared_evenly_stay_so(self, make_waiters):
        waiters = make_waiters(2)
        held = [Caller(waiters, share) for share in (1, 2)]
        assert [Caller(waiters, share).join() for share in (1, 2, 3)] == ["displaced"] * 3
        waiters.stop()
        assert [caller.join() for caller in held] == ["returned"] * 2

    def test_one_trigger_may_have_all_places_while_nobody_else_wants_one(self, make_waiters):
        waiters = make_waiters(3)
        held = [Caller(waiters, share=1) for _ in range(4)]
        assert [caller.outcome for caller in held] == ["", "", "", "displaced"]
        waiters.stop()
        assert [caller.join() for caller in held[:3]] == ["returned"] * 3


def test_a_caller_that_has_left_gives_its_place_up(make_waiters):
    waiters = make_waiters(1)
    left = Caller(waiters, share=1)
    left.hang_ups[0]()
    assert left.join() == "returned"
    assert Caller(waiters, share=1).outcome == ""

import threading
import time

import pytest

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

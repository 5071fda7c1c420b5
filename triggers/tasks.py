"""Celery tasks. Each takes ids and calls one function."""

from celery import shared_task

from triggers.calls import prune
from triggers.calls.nudges import NUDGE_TASK
from triggers.run import runner, turns
from triggers.selectors import find_application_id


@shared_task(name=NUDGE_TASK)
def nudge(application_id: int) -> None:
    runner.run_next_call(application_id)


# The nudge of version 0.1, with a call's id. Remove it in the second version that publishes `triggers.nudge`.
#
# A new name, because one name for both would hide the difference: a worker of 0.1 takes a number for the id of an unknown call
# and drops it without a word, whereas an unknown task is an error in its log. Either way no call is lost, since the row is the
# queue. While both versions run, a nudge that a worker of 0.1 drops is sent again by the next sweep; a watcher of 0.1 sends
# `triggers.run_call`, which workers of both versions know.
@shared_task(name="triggers.run_call")
def run_call(call_id: str) -> None:
    if (application_id := find_application_id(call_id)) is not None:
        runner.run_next_call(application_id)


sweep_calls = shared_task(name="triggers.sweep_calls")(turns.sweep_calls)
prune_calls = shared_task(name="triggers.prune_calls")(prune.prune_calls)

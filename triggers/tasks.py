"""Celery tasks: ids in, one function called."""

from celery import shared_task

from triggers.calls import accept as calls
from triggers.run import runner


@shared_task(name=calls.RUN_CALL_TASK)
def run_call(call_id: str) -> None:
    runner.run_call(call_id)


@shared_task(name="triggers.sweep_calls")
def sweep_calls() -> int:
    return calls.sweep_calls()


@shared_task(name="triggers.prune_calls")
def prune_calls() -> int:
    return calls.prune_calls()

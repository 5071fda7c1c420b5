"""Reporting a call that has ended: one line in the log, and the metrics. Everything that ends a call reports it here."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import structlog

from clusters import meters
from triggers.models import TriggerCall

log = structlog.get_logger("windlass.calls")

REPORTED_FIELDS = (
    "action",
    "source",
    "state",
    "reason",
    "request_id",
    "queued_at",
    "started_at",
    "completed_at",
    "coalesced_into_id",
    "merged_into_id",
    "application__name",
    "application__cluster__name",
)


def report_endings(call_ids: Iterable[Any]) -> None:
    """Report the calls. Call it after the transaction that ended them."""
    for call in TriggerCall.objects.select_related("application__cluster").only(*REPORTED_FIELDS).filter(pk__in=list(call_ids)):
        report_ending(call)


def count_ending(call: TriggerCall) -> None:
    """Count the call in the metrics alone, without a line in the log: of rejected calls there can be hundreds a second."""
    meters.CALLS_ENDED.add(call.action, call.state, call.reason)


def report_ending(call: TriggerCall) -> None:
    """Report a call whose application and cluster are loaded."""
    queued = _seconds(call.queued_at, call.started_at or call.completed_at)
    run = _seconds(call.started_at, call.completed_at)
    count_ending(call)
    if call.started_at:
        meters.CALL_WAIT_SECONDS.observe(queued, call.action)
        meters.CALL_RUN_SECONDS.observe(run, call.action, call.state)
    more = {name: str(value) for name in ("coalesced_into", "merged_into") if (value := getattr(call, f"{name}_id"))}
    if call.request_id:
        more["request_id"] = call.request_id  # its own, also where one run was for several calls
    log.info(
        "call ended",
        call_id=str(call.pk),
        action=call.action,
        cluster=call.application.cluster.name,
        application=call.application.name,
        source=call.source,
        state=call.state,
        reason=call.reason,
        queued_ms=round(queued * 1000),
        run_ms=round(run * 1000),
        **more,
    )


def _seconds(start: datetime | None, end: datetime | None) -> float:
    return max((end - start).total_seconds(), 0.0) if start and end else 0.0

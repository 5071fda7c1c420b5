"""Calls: starting one, the page of one, and the list of all (Activity)."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from clusters.engine.snapshot import Snapshot
from console.pages.calls.activity import RANGES, ActivityFilters, find_page, read_all, search_calls
from console.pages.calls.cause import find_cause
from console.pages.calls.timeline import (
    build_timeline,
    compare_snapshots,
    describe_cancellation,
    list_parameters,
    measure_run,
    measure_wait,
    read_progress,
    summarize_call,
)
from console.pages.shared.context import count_active_calls
from console.pages.shared.exports import send_csv
from console.pages.shared.page import console_page, get_visible, is_partial, redirect_to, require
from console.pages.shared.starting import start_and_show_call
from console.wording import request_of
from triggers import audited
from triggers.calls.cancel import AlreadyEnded
from triggers.models import Action, CallState, TriggerCall
from triggers.selectors import UNLISTED, calls_with_relations, outcome_of, whole_calls

STOP_POLLING = 286  # htmx's status for "swap this, then ask no more"
EXPORTED = (
    *("id", "queued", "started", "completed", "state", "call", "cluster", "application", "service", "container"),
    *("source", "trigger", "user", "address", "reason", "message"),
)


@require_safe
@console_page
def activity(request: HttpRequest) -> HttpResponse:
    """Paged without counting: there may be a million calls."""
    filters = ActivityFilters.from_request(request)
    context = {
        "title": "Activity",
        "cluster_filter": True,
        "filters": filters,
        "page": find_page(search_calls(request, filters), filters.before),
        "states": CallState.choices,
        "sources": TriggerCall.Source.choices,
        "actions": Action.choices,
        "ranges": [(value, label) for value, (label, _) in RANGES.items()],
    }
    return render(
        request, "console/calls/_activity.html" if is_partial(request, "list") else "console/calls/activity.html", context
    )


@require_safe
@console_page
def activity_export(request: HttpRequest) -> StreamingHttpResponse:
    """All that the filters let through, newest first, sent as it is read."""
    calls = read_all(search_calls(request, ActivityFilters.from_request(request)))
    return send_csv("calls", EXPORTED, map(_cells, calls))


@require_safe
@console_page
def call(request: HttpRequest, call_id: UUID) -> HttpResponse:
    """A call that ran nothing itself shows the work of the one that did, and is followed until that one has ended."""
    shown = get_visible(request, whole_calls().prefetch_related("events", "merged_into__events"), pk=call_id)
    worked, outcome = shown.merged_into or shown, outcome_of(shown)
    is_live = shown.is_active or outcome.is_active
    context = {
        "title": f"{request_of(shown)} {shown.container or shown.service or shown.application}",
        "crumbs": [("Activity", reverse("activity"))],
        "call": shown,
        "is_live": is_live,
        "summary": summarize_call(shown),
        "outcome": outcome,
        "outcome_summary": summarize_call(outcome),
        "waited": measure_wait(shown),
        "ran": measure_run(shown),
        "parameters": list_parameters(shown),
        "cancellation": describe_cancellation(shown),
        "timeline": build_timeline(worked),
        "plan": worked.plan,
        "progress": read_progress(worked),
        "comparison": compare_snapshots(Snapshot.from_json(worked.before), Snapshot.from_json(worked.after)),
        "covered": shown.coalesced_calls.defer(*UNLISTED)[:20],
        "merged": shown.merged_calls.defer(*UNLISTED)[:20],
        "cause": find_cause(shown, request.user),
    }
    if not is_partial(request, "call"):
        return render(request, "console/calls/call.html", context)
    return render(request, "console/calls/_call.html", context, status=200 if is_live else STOP_POLLING)


@require_POST
@console_page
def call_again(request: HttpRequest, call_id: UUID) -> HttpResponse:
    """The same request once more, on behalf of the reader."""
    former = get_visible(request, calls_with_relations(), pk=call_id)
    require(request, "triggers.add_triggercall", former)
    if not former.may_run_again:
        messages.error(request, "A delete is not run again. Ask for it where what is to go is shown, with its name.")
        return redirect_to(request, "call", former.pk)
    return start_and_show_call(
        request,
        former.application,
        former.service,
        action=former.action,
        trigger=former.trigger,
        container=former.container,
        tag=former.tag,
        step=former.step,
        replicas=former.replicas,
    )


@require_POST
@console_page
def call_cancel(request: HttpRequest, call_id: UUID) -> HttpResponse:
    call = get_visible(request, calls_with_relations(), pk=call_id)
    require(request, "triggers.add_triggercall", call)
    try:
        audited.request_cancel(request, call)
    except AlreadyEnded:
        messages.warning(request, "The call had ended already; nothing was cancelled.")
    return redirect_to(request, "call", call.pk)


@require_safe
@console_page
def running_calls(request: HttpRequest) -> HttpResponse:
    return render(request, "console/shared/_running_calls.html", {"active_calls": count_active_calls(request.user)})


def _cells(call: TriggerCall) -> tuple[Any, ...]:
    moments = (call.queued_at, call.started_at, call.completed_at)
    times = (moment and moment.isoformat(timespec="milliseconds") for moment in moments)
    target = (call.application.cluster, call.application, call.service, call.container)
    caller = (call.source, call.trigger, call.requested_by, call.source_address)
    return (call.pk, *times, call.state, request_of(call), *target, *caller, call.reason, call.message)

"""The list of all calls (Activity) and its export, the page of one call, and running or cancelling it from there."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from clusters.access.audit import record_act
from clusters.engine.snapshot import Snapshot
from console.pages.calls.activity import (
    DAYS,
    RANGES,
    ActivityFilters,
    find_activity_page,
    find_filtered_trigger,
    read_all,
    search_calls,
)
from console.pages.calls.cause import find_causing_delivery
from console.pages.calls.evidence import describe_evidence
from console.pages.calls.folding import fold_timeline, list_container_names
from console.pages.calls.summary import describe_cancellation, list_parameters, read_progress, summarize_call
from console.pages.calls.timeline import build_timeline, compare_snapshots, measure_run, measure_wait
from console.pages.shared.context import count_active_calls
from console.pages.shared.exports import describe_filters, send_csv
from console.pages.shared.page import console_page, get_visible, is_partial, redirect_to, require
from console.pages.shared.starting import start_and_show_call
from console.wording import request_of, split_request
from triggers import audited
from triggers.calls.cancel import AlreadyEnded
from triggers.images.previous import describe_returns
from triggers.models import Action, CallState, TriggerCall
from triggers.selectors import UNLISTED, calls_with_relations, outcome_of, whole_calls

STOP_POLLING = 286  # the status that makes htmx swap in the answer and stop polling
EXPORTED = (
    "id",
    "queued",
    "started",
    "completed",
    "state",
    "call",
    "cluster",
    "application",
    "service",
    "container",
    "source",
    "trigger",
    "user",
    "address",
    "reason",
    "message",
    "repeated",
)


@require_safe
@console_page
def activity(request: HttpRequest) -> HttpResponse:
    """Show a page of calls. Pages are not counted: there can be a million calls."""
    filters = ActivityFilters.from_request(request)
    context = {
        "title": "Activity",
        "cluster_filter": True,
        "filters": filters,
        "trigger": find_filtered_trigger(request, filters),
        "page": find_activity_page(search_calls(request, filters), filters.before),
        "states": CallState.choices,
        "sources": TriggerCall.Source.choices,
        "actions": Action.choices,
        "ranges": [*((value, label) for value, (label, _) in RANGES.items()), (DAYS, "Between two days")],
    }
    return render(
        request, "console/calls/_activity.html" if is_partial(request, "list") else "console/calls/activity.html", context
    )


@require_safe
@console_page
def activity_export(request: HttpRequest) -> HttpResponseBase:
    """Stream all calls that match the filters, newest first."""
    calls = read_all(search_calls(request, ActivityFilters.from_request(request)))
    record_act(request, "activity.export", **describe_filters(request))
    return send_csv(request, "calls", EXPORTED, map(_call_cells, calls))


@require_safe
@console_page
def call(request: HttpRequest, call_id: UUID) -> HttpResponse:
    """Show a call. One that ran nothing itself shows the work of the call that did, and is polled until that call has ended."""
    shown = get_visible(request, whole_calls().prefetch_related("events", "merged_into__events"), pk=call_id)
    worked, outcome = shown.merged_into or shown, outcome_of(shown)
    is_live = shown.is_active or outcome.is_active
    target, words = shown.container or str(shown.service or shown.application), split_request(shown)
    comparison = compare_snapshots(Snapshot.from_json(worked.before), Snapshot.from_json(worked.after))
    context = {
        "title": " ".join(filter(None, (words[0], target, words[1]))),
        "crumbs": [("Activity", reverse("activity"))],
        "call": shown,
        "words": words,
        "target": target,
        "is_live": is_live,
        "is_held": shown.state == CallState.QUEUED and shown.held_until is not None,
        "summary": summarize_call(shown),
        "outcome": outcome,
        "outcome_summary": summarize_call(outcome),
        "waited": measure_wait(shown),
        "ran": measure_run(shown),
        "parameters": list_parameters(shown),
        "returned": describe_returns(shown.returns_to),
        "cancellation": describe_cancellation(shown),
        "evidence": describe_evidence(request, worked),
        "timeline": fold_timeline(build_timeline(worked, shown.message), list_container_names(worked)),
        "plan": worked.plan,
        "progress": read_progress(worked),
        "comparison": comparison,
        "covered": shown.coalesced_calls.defer(*UNLISTED)[:20],
        "merged": shown.merged_calls.defer(*UNLISTED)[:20],
        "can_return": shown.action == Action.REDEPLOY and any(row.image_changed for row in comparison),
        "cause": find_causing_delivery(shown, request.user),
    }
    if not is_partial(request, "call"):
        return render(request, "console/calls/call.html", context)
    return render(request, "console/calls/_call.html", context, status=200 if is_live else STOP_POLLING)


@require_POST
@console_page
def call_again(request: HttpRequest, call_id: UUID) -> HttpResponse:
    """Request the same call again, on behalf of the reader."""
    previous = get_visible(request, calls_with_relations(), pk=call_id)
    require(request, "triggers.add_triggercall", previous)
    if not previous.may_run_again:
        messages.error(
            request,
            "A delete cannot be run again. Delete from the page of the application or container, where its name is confirmed.",
        )
        return redirect_to(request, "call", previous.pk)
    return start_and_show_call(
        request,
        previous.application,
        previous.service,
        action=previous.action,
        trigger=previous.trigger,
        container=previous.container,
        tag=previous.tag,
        start_stopped=bool(previous.start_stopped),
        returns_to=previous.returns_to,
        step=previous.step,
        replicas=previous.replicas,
    )


@require_POST
@console_page
def call_cancel(request: HttpRequest, call_id: UUID) -> HttpResponse:
    call = get_visible(request, calls_with_relations(), pk=call_id)
    require(request, "triggers.add_triggercall", call)
    try:
        audited.request_cancel(request, call)
    except AlreadyEnded:
        messages.warning(request, "The call had already ended. Nothing was cancelled.")
    return redirect_to(request, "call", call.pk)


@require_safe
@console_page
def running_calls(request: HttpRequest) -> HttpResponse:
    return render(request, "console/shared/_running_calls.html", {"active_calls": count_active_calls(request.user)})


def _call_cells(call: TriggerCall) -> tuple[Any, ...]:
    moments = (call.queued_at, call.started_at, call.completed_at)
    times = (moment and moment.isoformat(timespec="milliseconds") for moment in moments)
    target = (call.application.cluster, call.application, call.service, call.container)
    caller = (call.source, call.trigger, call.requested_by, call.source_address)
    return (call.pk, *times, call.state, request_of(call), *target, *caller, call.reason, call.message, call.repeated or 0)

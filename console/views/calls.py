"""Calls: starting one, the page of one, and the list of all (Activity)."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from clusters.models import Application, Service
from console.context import count_active_calls
from console.pages import console_page, get_visible, is_partial, list_visible, read_query, redirect_to, require
from console.timeline import (
    build_timeline,
    compare_snapshots,
    list_parameters,
    measure_run,
    measure_wait,
    read_progress,
    summarize_call,
)
from triggers import acts
from triggers.calls import QueueFull
from triggers.models import ACTIVE_STATES, CallState, Trigger, TriggerCall
from triggers.selectors import calls_with_relations, outcome_of

PAGE_SIZE = 50  # rows
STOP_POLLING = 286  # htmx's status for "swap this, then ask no more"


def start_call(request: HttpRequest, application: Application, service: Service | None = None, **wanted: Any) -> HttpResponse:
    """Accept a call from this reader, who may, and go to its page; back to the application when too many wait already."""
    try:
        call = acts.start_call(request, TriggerCall.Source.CONSOLE, application, service, **wanted)
    except QueueFull as error:
        messages.error(request, f"{error} Nothing was started. Try again in {error.retry_after} s.")
        return redirect_to(request, "application", application.pk)
    return redirect_to(request, "call", call.pk)


@require_safe
@console_page
def activity(request: HttpRequest) -> HttpResponse:
    """Paged without counting: there may be a million calls."""
    rows = list_visible(request, calls_with_relations())
    state, source, query = (read_query(request, name) for name in ("state", "source", "q"))
    if state == "active":
        rows = rows.filter(state__in=ACTIVE_STATES)
    elif state in CallState.values:
        rows = rows.filter(state=state)
    if source in TriggerCall.Source.values:
        rows = rows.filter(source=source)
    if query:
        rows = rows.filter(application__name__icontains=query)
    number = _read_page_number(request)
    found = list(rows[(number - 1) * PAGE_SIZE : number * PAGE_SIZE + 1])
    context = {
        "title": "Activity",
        "cluster_filter": True,
        "calls": found[:PAGE_SIZE],
        "number": number,
        "has_older": len(found) > PAGE_SIZE,
        "state": state,
        "source": source,
        "query": query,
        "is_narrow": bool(state or source or query),
        "states": CallState.choices,
        "sources": TriggerCall.Source.choices,
    }
    return render(request, "console/_activity.html" if is_partial(request, "list") else "console/activity.html", context)


@require_safe
@console_page
def call(request: HttpRequest, call_id: UUID) -> HttpResponse:
    """A call that ran nothing itself shows the work of the one that did, and is followed until that one has ended."""
    rows = calls_with_relations().select_related("coalesced_into", "merged_into")
    shown = get_visible(request, rows.prefetch_related("events", "merged_into__events"), pk=call_id)
    worked, outcome = shown.merged_into or shown, outcome_of(shown)
    is_live = shown.is_active or outcome.is_active
    context = {
        "title": f"{shown.get_action_display()} {shown.service or shown.application}",
        "crumbs": [("Activity", reverse("activity"))],
        "call": shown,
        "is_live": is_live,
        "summary": summarize_call(shown),
        "outcome": outcome,
        "outcome_summary": summarize_call(outcome),
        "waited": measure_wait(shown),
        "ran": measure_run(shown),
        "parameters": list_parameters(shown),
        "timeline": build_timeline(worked),
        "plan": worked.plan,
        "progress": read_progress(worked),
        "comparison": compare_snapshots(worked.before, worked.after),
        "covered": shown.coalesced_calls.all()[:20],
        "merged": shown.merged_calls.all()[:20],
    }
    if not is_partial(request, "call"):
        return render(request, "console/call.html", context)
    return render(request, "console/_call.html", context, status=200 if is_live else STOP_POLLING)


@require_POST
@console_page
def call_again(request: HttpRequest, call_id: UUID) -> HttpResponse:
    """The same request once more, on behalf of the reader."""
    former = get_visible(request, calls_with_relations(), pk=call_id)
    require(request, "triggers.add_triggercall", former)
    return start_call(
        request,
        former.application,
        former.service,
        action=former.action,
        trigger=former.trigger,
        step=former.step,
        replicas=former.replicas,
    )


@require_safe
@console_page
def running_calls(request: HttpRequest) -> HttpResponse:
    return render(request, "console/_running_calls.html", {"active_calls": count_active_calls(request.user)})


def _read_page_number(request: HttpRequest) -> int:
    text = request.GET.get("page", "1")
    return min(max(int(text), 1), 100_000) if text.isascii() and text.isdigit() and len(text) < 10 else 1


def call_trigger(request: HttpRequest, trigger: Trigger, **wanted: Any) -> HttpResponse:
    """A test call: what the link would do, asked for by the reader."""
    return start_call(request, trigger.application, trigger.service, action=trigger.action, trigger=trigger, **wanted)

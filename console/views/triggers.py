"""Triggers: the list, the Create Trigger dialog, and what can be done with one."""

from dataclasses import asdict

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clusters.models import Application
from console.pages import (
    console_page,
    get_visible,
    is_partial,
    list_visible,
    paginate,
    read_query,
    redirect_to,
    render_dialog,
    require,
)
from console.snippets import build_secrets, describe_triggers, remember_shown_trigger
from console.views.calls import call_trigger
from triggers import acts
from triggers.forms import TestCallForm, TriggerForm
from triggers.models import Action, Trigger
from triggers.selectors import triggers_with_last_call
from triggers.validation import explain_scaling_refusal


@require_safe
@console_page
def triggers(request: HttpRequest) -> HttpResponse:
    query = read_query(request, "q")
    rows = list_visible(request, triggers_with_last_call())
    if query:
        rows = rows.filter(application__name__icontains=query) | rows.filter(name__icontains=query)
    page = paginate(request, rows)
    context = {
        "title": "Triggers",
        "cluster_filter": True,
        "query": query,
        "page": page,
        "triggers": describe_triggers(request, page.object_list),
        "show_application": True,
    }
    return render(request, "console/_triggers.html" if is_partial(request, "list") else "console/triggers.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def trigger_create(request: HttpRequest, application_id: int) -> HttpResponse:
    rows = Application.objects.select_related("cluster").prefetch_related("services")
    application = get_visible(request, rows, pk=application_id)
    require(request, "triggers.add_trigger", application)
    form = TriggerForm(application, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        created = form.save(commit=False)
        acts.create_trigger(request, created)
        return _show_trigger(request, created)
    context = {
        "title": "Create Trigger",
        "application": application,
        "form": form,
        "no_scaling": explain_scaling_refusal(application.cluster),
        "crumbs": _crumbs(application),
    }
    return render_dialog(request, "console/_trigger_create.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def trigger_call(request: HttpRequest, trigger_id: int) -> HttpResponse:
    """A test call. A scaling trigger asks for type and step, as its link does."""
    trigger = _get_trigger(request, trigger_id, "triggers.add_triggercall")
    form = TestCallForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        if trigger.action == Action.REDEPLOY:
            return call_trigger(request, trigger)
        if form.is_valid():
            return call_trigger(request, trigger, step=form.signed_step())
    return _render_trigger_dialog(request, trigger, "console/_trigger_call.html", "Test call", form=form)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def trigger_rotate(request: HttpRequest, trigger_id: int) -> HttpResponse:
    trigger = _get_trigger(request, trigger_id, "triggers.change_trigger")
    if request.method == "POST":
        acts.rotate_secret(request, trigger)
        messages.success(request, "The secret is new. Every link with the old one is dead.")
        return _show_trigger(request, trigger)
    return _render_trigger_dialog(request, trigger, "console/_trigger_rotate.html", "Rotate secret")


@require_POST
@console_page
def trigger_reveal(request: HttpRequest, trigger_id: int) -> HttpResponse:
    """The secret and what holds it as JSON for console.js; without scripts they are shown on the application's page."""
    trigger = _get_trigger(request, trigger_id, "triggers.reveal_trigger")
    acts.reveal_secret(request, trigger)
    if request.accepts("text/html"):
        return _show_trigger(request, trigger)
    return JsonResponse(asdict(build_secrets(request, trigger)))


@require_POST
@console_page
def trigger_switch(request: HttpRequest, trigger_id: int) -> HttpResponse:
    """Enable or disable, as `enabled` says: sending it twice does no harm."""
    trigger = _get_trigger(request, trigger_id, "triggers.change_trigger")
    trigger.enabled = request.POST.get("enabled") == "1"
    acts.change_trigger(request, trigger, ["enabled"])
    word = "answers calls again" if trigger.enabled else "is disabled; its link is answered, but nothing is run"
    messages.success(request, f"{trigger} {word}.")
    return redirect_to(request, "application", trigger.application_id)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def trigger_delete(request: HttpRequest, trigger_id: int) -> HttpResponse:
    trigger = _get_trigger(request, trigger_id, "triggers.delete_trigger")
    if request.method == "POST":
        acts.delete_trigger(request, trigger)
        messages.success(request, f"{trigger} is deleted. Its link is dead; the calls it made stay in Activity.")
        return redirect_to(request, "application", trigger.application_id)
    return _render_trigger_dialog(request, trigger, "console/_trigger_delete.html", "Delete trigger")


def _show_trigger(request: HttpRequest, trigger: Trigger) -> HttpResponse:
    """To the application, with the trigger's secret and the ways to call it open, this once."""
    remember_shown_trigger(request, trigger)
    return redirect_to(request, "application", trigger.application_id, query=f"?trigger={trigger.pk}#trigger-{trigger.pk}")


def _get_trigger(request: HttpRequest, trigger_id: int, permission: str) -> Trigger:
    trigger = get_visible(request, triggers_with_last_call(), pk=trigger_id)
    require(request, permission, trigger)
    return trigger


def _render_trigger_dialog(request: HttpRequest, trigger: Trigger, template: str, title: str, **extra: object) -> HttpResponse:
    context = {"title": title, "trigger": trigger, "application": trigger.application, "crumbs": _crumbs(trigger.application)}
    return render_dialog(request, template, context | extra)


def _crumbs(application: Application) -> list[tuple[str, str]]:
    return [("Applications", reverse("applications")), (application.name, reverse("application", args=[application.pk]))]

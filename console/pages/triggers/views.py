"""Triggers: the list, the Create Trigger dialog, and what can be done with a trigger."""

import re
from dataclasses import asdict, dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clusters.models import Application, Service
from console.pages.shared.page import (
    console_page,
    get_visible,
    is_partial,
    list_visible,
    paginate,
    read_query,
    redirect_to,
    render_dialog,
    require,
    return_from,
)
from console.pages.shared.selection import select_cluster
from console.pages.shared.starting import start_test_call
from console.pages.shared.trigger_panel.image_updates import add_image_updates, add_setup_links
from console.pages.shared.trigger_panel.refused_calls import add_refused_calls, with_newest_refusal
from console.pages.shared.trigger_panel.snippets import build_secrets, describe_triggers, remember_shown_trigger
from console.pages.shared.trigger_panel.sparklines import add_sparklines
from triggers import audited
from triggers.forms import TestCallForm, TriggerForm, TriggerOptionsForm
from triggers.freeze_forms import read_override
from triggers.freezes import find_present_freeze
from triggers.models import Action, Trigger
from triggers.narrowing_forms import RotateForm
from triggers.pushes.subscription_forms import SubscriptionForms
from triggers.pushes.subscriptions import list_redeployed_services, may_subscribe
from triggers.selectors import triggers_with_last_call
from triggers.validation import explain_scaling_refusal

ROWS = 20  # rows of a page: each has forms, a menu and a picture


def is_id(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9]{1,18}", text))


@dataclass(frozen=True)
class TriggerFilters:
    """The filters in the address. `service_id` is None for the triggers of all services."""

    query: str
    service_id: int | None

    @classmethod
    def from_request(cls, request: HttpRequest) -> "TriggerFilters":
        service = request.GET.get("service", "")
        return cls(read_query(request, "q"), int(service) if is_id(service) else None)

    @property
    def is_narrow(self) -> bool:
        return bool(self.query) or self.service_id is not None

    def apply(self, rows: QuerySet[Trigger]) -> QuerySet[Trigger]:
        if self.service_id is not None:
            rows = rows.filter(service=self.service_id)
        if self.query:
            named = Q(name__icontains=self.query) | Q(application__name__icontains=self.query)
            rows = rows.filter(named | Q(service__name__icontains=self.query))
        return rows

    def find_service(self, request: HttpRequest) -> Service | None:
        """Return the service that the list is narrowed to, if the reader may see it."""
        if self.service_id is None:
            return None
        return list_visible(request, Service.objects.select_related("application")).filter(pk=self.service_id).first()


@require_safe
@console_page
def triggers(request: HttpRequest) -> HttpResponse:
    filters = TriggerFilters.from_request(request)
    now = timezone.now()
    seen = list_visible(request, with_newest_refusal(triggers_with_last_call(), now))
    page = paginate(request, filters.apply(seen), ROWS)
    rows = add_refused_calls(request, add_image_updates(request, add_sparklines(page.object_list, now)))
    context = {
        "title": "Triggers",
        "cluster_filter": True,
        "selection": select_cluster(request),
        "filters": filters,
        "service": filters.find_service(request),
        "page": page,
        "triggers": describe_triggers(request, rows),
        "show_application": True,
    }
    return render(
        request, "console/triggers/_triggers.html" if is_partial(request, "list") else "console/triggers/triggers.html", context
    )


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def trigger_create(request: HttpRequest, application_id: int) -> HttpResponse:
    rows = Application.objects.select_related("cluster").prefetch_related("services")
    application = get_visible(request, rows, pk=application_id)
    require(request, "triggers.add_trigger", application)
    service = _read_service(application, request.GET, "service")
    narrowed = {"service": service.pk, "only_service": service.pk} if service else None
    form = TriggerForm(application, request.POST if request.method == "POST" else None, initial=narrowed)
    chosen_service = _read_service(application, request.POST) if request.method == "POST" else service
    boxes = _read_boxes(request, application, chosen_service)
    chosen = boxes if form["action"].value() == Action.REDEPLOY else None
    if request.method == "POST" and _are_valid(form, chosen):
        created = form.save(commit=False)
        audited.create_trigger(request, created, chosen.find_changes() if chosen else None)
        messages.success(request, _describe_created(request, created))
        return _show_trigger(request, created)
    context = {
        "title": "Create Trigger",
        "application": application,
        "form": form,
        "no_scaling": explain_scaling_refusal(application.cluster),
        "crumbs": _application_crumbs(application),
    }
    return render_dialog(
        request, "console/triggers/_trigger_create.html", context | _describe_boxes(request, application, boxes)
    )


@require_safe
@console_page
def trigger_repositories(request: HttpRequest, application_id: int) -> HttpResponse:
    """Show the boxes of Create Trigger, or with `?trigger=<id>` those of its Edit dialog; `?only_service=<id>` narrows them.

    The boxes are loaded on their own, since registries are queried for them. They keep what was typed before."""
    rows = Application.objects.select_related("cluster").prefetch_related("services")
    application = get_visible(request, rows, pk=application_id)
    trigger = _find_edited(request, application)
    if trigger is None:
        require(request, "triggers.add_trigger", application)
    service = trigger.service if trigger else _read_service(application, request.GET)
    boxes = _read_boxes(request, application, service, trigger)
    if boxes is None:
        raise PermissionDenied
    boxes.ask()
    context = {"application": application} | _describe_boxes(request, application, boxes, trigger)
    return render(request, "console/triggers/_trigger_repositories.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def trigger_call(request: HttpRequest, trigger_id: int) -> HttpResponse:
    """Make a test call. A scaling trigger needs type and step, as its link does."""
    trigger = _get_trigger(request, trigger_id, "triggers.add_triggercall")
    form = TestCallForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        override = read_override(request.POST)
        if trigger.action == Action.REDEPLOY:
            return start_test_call(request, trigger, override_reason=override)
        if form.is_valid():
            return start_test_call(request, trigger, step=form.signed_step(), override_reason=override)
    freeze = None if trigger.during_freezes else find_present_freeze(trigger.application, trigger.action)
    context = {"form": form, "freeze": freeze}
    return _render_trigger_dialog(request, trigger, "console/triggers/_trigger_call.html", "Test call", **context)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def trigger_rotate(request: HttpRequest, trigger_id: int) -> HttpResponse:
    trigger = _get_trigger(request, trigger_id, "triggers.change_trigger")
    form = RotateForm(trigger, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        audited.rotate_secret(request, trigger, form.chosen_overlap)
        old = f"work for {form.overlap_words} more" if form.chosen_overlap else "no longer work"
        messages.success(request, f"The secret was rotated. Links with the old secret {old}.")
        return _show_trigger(request, trigger)
    return _render_trigger_dialog(request, trigger, "console/triggers/_trigger_rotate.html", "Rotate secret", form=form)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def trigger_edit(request: HttpRequest, trigger_id: int) -> HttpResponse:
    """Change a trigger's options; its action and its link stay. Only what differs is saved and recorded."""
    trigger = _get_trigger(request, trigger_id, "triggers.change_trigger")
    application, known_as = trigger.application, str(trigger)
    form = TriggerOptionsForm(request.POST if request.method == "POST" else None, instance=trigger)
    boxes = _read_boxes(request, application, trigger.service, trigger)
    if request.method == "POST" and _are_valid(form, boxes):
        changed, subscriptions = form.list_changes(), boxes.find_changes() if boxes else None
        if changed or subscriptions:
            audited.change_trigger(request, trigger, changed, subscriptions)
            messages.success(request, f"{trigger} was changed. Its link stays the same.")
        return return_from(request, "application", trigger.application_id)
    context = {"form": form, "known_as": known_as} | _describe_boxes(request, application, boxes, trigger)
    return _render_trigger_dialog(request, trigger, "console/triggers/_trigger_edit.html", "Edit trigger", **context)


@require_POST
@console_page
def trigger_reveal(request: HttpRequest, trigger_id: int) -> HttpResponse:
    """Answer with the secret and the texts that hold it as JSON; without scripts, the application's page shows them once."""
    trigger = _get_trigger(request, trigger_id, "triggers.reveal_trigger")
    audited.reveal_secret(request, trigger)
    if request.accepts("text/html"):
        return _show_trigger(request, trigger)
    return JsonResponse(asdict(build_secrets(request, trigger)))


@require_POST
@console_page
def trigger_switch(request: HttpRequest, trigger_id: int) -> HttpResponse:
    """Enable or disable, as `enabled` says; sending the form twice does no harm."""
    trigger = _get_trigger(request, trigger_id, "triggers.change_trigger")
    trigger.enabled = request.POST.get("enabled") == "1"
    audited.change_trigger(request, trigger, ["enabled"])
    words = "is enabled." if trigger.enabled else "is disabled. Calls of its link are answered, but nothing is run."
    messages.success(request, f"{trigger} {words}")
    return return_from(request, "application", trigger.application_id)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def trigger_delete(request: HttpRequest, trigger_id: int) -> HttpResponse:
    trigger = _get_trigger(request, trigger_id, "triggers.delete_trigger")
    if request.method == "POST":
        audited.delete_trigger(request, trigger)
        messages.success(request, f"{trigger} was deleted. Its link no longer works. Its calls stay in Activity.")
        return return_from(request, "application", trigger.application_id)
    return _render_trigger_dialog(request, trigger, "console/triggers/_trigger_delete.html", "Delete trigger")


def _show_trigger(request: HttpRequest, trigger: Trigger) -> HttpResponse:
    """Redirect to the application, whose page shows the trigger's secret and the ways to call it once."""
    remember_shown_trigger(request, trigger)
    return redirect_to(request, "application", trigger.application_id, query=f"?trigger={trigger.pk}#trigger-{trigger.pk}")


def _get_trigger(request: HttpRequest, trigger_id: int, permission: str) -> Trigger:
    trigger = get_visible(request, triggers_with_last_call(), pk=trigger_id)
    require(request, permission, trigger)
    return trigger


def _find_edited(request: HttpRequest, application: Application) -> Trigger | None:
    """Return the trigger in the address, if any. It must be the application's, and the reader must be allowed to change it."""
    known = request.GET.get("trigger", "")
    if not known:
        return None
    if not is_id(known):
        raise Http404
    trigger = get_visible(request, triggers_with_last_call(), pk=int(known), application=application)
    require(request, "triggers.change_trigger", trigger)
    return trigger


def _describe_created(request: HttpRequest, created: Trigger) -> str:
    if not request.user.has_perm("triggers.reveal_trigger", created):
        return f"{created} was created."
    return f"{created} was created. Copy how to call it now: its secret is shown this once, and can be revealed again later."


def _read_service(application: Application, data: QueryDict, name: str = "only_service") -> Service | None:
    """Return the one service that the Create Trigger dialog is narrowed to."""
    known = data.get(name, "")
    return next((service for service in application.services.all() if str(service.pk) == known), None)


def _read_boxes(
    request: HttpRequest, application: Application, service: Service | None, trigger: Trigger | None = None
) -> SubscriptionForms | None:
    """Return the boxes of Associated with Image Update; None where the reader may not use them or the trigger scales."""
    if not may_subscribe(request.user, application) or (trigger is not None and trigger.action != Action.REDEPLOY):
        return None
    return SubscriptionForms(
        list_redeployed_services(application, service),
        trigger.subscriptions.all() if trigger else (),
        data=request.POST if request.method == "POST" else None,
        typed=request.GET,
    )


def _are_valid(form: TriggerOptionsForm, boxes: SubscriptionForms | None) -> bool:
    """Validate both, so that all errors are shown at once."""
    return all([form.is_valid(), boxes is None or boxes.is_valid()])


def _describe_boxes(
    request: HttpRequest, application: Application, boxes: SubscriptionForms | None, trigger: Trigger | None = None
) -> dict[str, Any]:
    """Return what the boxes need. A dialog opens without the registries' answers, which take time, and loads the boxes then."""
    if boxes is None:
        return {}
    is_piece_of_its_own = is_partial(request, "dialog") and not boxes.is_bound
    if not is_piece_of_its_own:
        boxes.ask()
    address = reverse("trigger_repositories", args=[application.pk])
    return {
        "boxes": add_setup_links(request, boxes),
        "boxes_address": f"{address}?trigger={trigger.pk}" if trigger else address,
        "is_asking": is_piece_of_its_own and len(boxes) > 0,
    }


def _render_trigger_dialog(request: HttpRequest, trigger: Trigger, template: str, title: str, **extra: object) -> HttpResponse:
    context = {
        "title": title,
        "trigger": trigger,
        "application": trigger.application,
        "crumbs": _application_crumbs(trigger.application),
    }
    return render_dialog(request, template, context | extra)


def _application_crumbs(application: Application) -> list[tuple[str, str]]:
    return [("Applications", reverse("applications")), (application.name, reverse("application", args=[application.pk]))]

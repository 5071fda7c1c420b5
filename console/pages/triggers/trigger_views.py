"""A trigger's own page, and what narrows its link."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.pages.shared.keyset import PagePosition
from console.pages.shared.page import (
    console_page,
    get_visible,
    is_partial,
    read_query,
    redirect_to,
    render_dialog,
    require,
    return_from,
)
from console.pages.shared.trigger_panel.image_updates import add_image_updates
from console.pages.shared.trigger_panel.refused_calls import add_refused_calls, with_newest_refusal
from console.pages.shared.trigger_panel.snippets import describe_triggers
from console.pages.shared.trigger_panel.sparklines import add_sparklines
from console.pages.triggers.trigger_page import (
    describe_calls_left,
    describe_rate,
    find_call_page,
    find_last_callers,
    list_refused,
)
from triggers import audited
from triggers.allowed_addresses import BadAddress, normalize_addresses
from triggers.models import Trigger
from triggers.narrowing_forms import NarrowingForm
from triggers.selectors import triggers_with_last_call


@require_safe
@console_page
def trigger(request: HttpRequest, trigger_id: int) -> HttpResponse:
    """Show a trigger: what it does, what narrows its link, how to call it, its callers, its calls and what was refused."""
    shown = get_visible(request, with_newest_refusal(triggers_with_last_call(), timezone.now()), pk=trigger_id)
    context = {
        "title": str(shown),
        "crumbs": [("Triggers", reverse("triggers")), (shown.application.name, _address_of_application(shown))],
        "trigger": shown,
        "application": shown.application,
    }
    if is_partial(request, "trigger-state"):
        return render(request, "console/triggers/_trigger_state.html", context | _describe_state(request, shown))
    context |= _describe_about(request, shown)
    if is_partial(request, "trigger-about"):
        return render(request, "console/triggers/_trigger_about.html", context)
    return render(request, "console/triggers/trigger.html", context | _describe_state(request, shown))


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def trigger_narrow(request: HttpRequest, trigger_id: int) -> HttpResponse:
    """Change what narrows the link: addresses, date, number and rate of calls, and where the secret may be. `allow` adds an
    address to those in the form, and saves nothing yet."""
    shown = _get_trigger(request, trigger_id)
    data = request.POST.copy() if request.method == "POST" else None
    allowed = data.pop("allow", []) if data is not None else []
    if data is not None and allowed:
        data["allowed_addresses"] = "\n".join([data.get("allowed_addresses", ""), *allowed]).strip()
    form = NarrowingForm(data, instance=shown)
    if request.method == "POST" and not allowed and form.is_valid():
        if changed := form.list_changes():
            audited.change_trigger(request, shown, changed)
            messages.success(request, f"{shown} was changed. Its link stays the same.")
        return redirect_to(request, "trigger", shown.pk)
    context = {
        "title": "Narrow the link",
        "trigger": shown,
        "form": form,
        "last_callers": find_last_callers(shown, form["allowed_addresses"].value() or ""),
        "crumbs": [("Triggers", reverse("triggers")), (str(shown), reverse("trigger", args=[shown.pk]))],
    }
    return render_dialog(request, "console/triggers/_trigger_narrow.html", context)


@require_POST
@console_page
def trigger_allow(request: HttpRequest, trigger_id: int) -> HttpResponse:
    """Add `address` to the allowed addresses. With none before, the link can be called from there alone."""
    shown = _get_trigger(request, trigger_id)
    try:
        address = normalize_addresses(request.POST.get("address", "")[:64])
        shown.allowed_addresses = normalize_addresses(f"{shown.allowed_addresses}\n{address}")
    except BadAddress as error:
        messages.error(request, f"Nothing was changed. {error}")
        return redirect_to(request, "trigger", shown.pk)
    if address:
        audited.change_trigger(request, shown, ["allowed_addresses"])
        messages.success(request, f"{address} can call the link of {shown}; addresses that are not listed cannot.")
    return redirect_to(request, "trigger", shown.pk)


@require_POST
@console_page
def trigger_end_old(request: HttpRequest, trigger_id: int) -> HttpResponse:
    """End the secret before the last rotation now; sending the form twice does no harm."""
    shown = _get_trigger(request, trigger_id)
    audited.end_old_secret(request, shown)
    messages.success(request, f"The old secret of {shown} no longer works.")
    return return_from(request, "trigger", shown.pk)


def _get_trigger(request: HttpRequest, trigger_id: int) -> Trigger:
    shown = get_visible(request, triggers_with_last_call(), pk=trigger_id)
    require(request, "triggers.change_trigger", shown)
    return shown


def _address_of_application(shown: Trigger) -> str:
    return reverse("application", args=[shown.application_id])


def _describe_about(request: HttpRequest, shown: Trigger) -> dict[str, Any]:
    now = timezone.now()
    rows = add_refused_calls(request, add_image_updates(request, add_sparklines([shown], now)))
    describe_triggers(request, rows)
    return {
        "allowed": shown.allowed_addresses.split(),
        "calls_left": describe_calls_left(shown.calls_left),
        "rate": describe_rate(shown.calls_a_minute),
    }


def _describe_state(request: HttpRequest, shown: Trigger) -> dict[str, Any]:
    before = PagePosition.parse(read_query(request, "before"))
    return {
        "before": before,
        "call_page": find_call_page(shown, before),
        "last_callers": find_last_callers(shown, shown.allowed_addresses),
        "refused": list_refused(shown) if request.user.has_perm("triggers.view_deliveryline", shown) else [],
    }

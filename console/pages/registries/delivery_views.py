"""Deliveries: what registries, their relays and monitoring sent, what was decided, and deciding again."""

from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from clusters.access.audit import record_act
from clusters.models import Registry
from console.pages.registries.deliveries import DeliveryFilters, find_delivery_page, lay_out_body, list_lines
from console.pages.shared.page import console_page, get_visible, is_partial, paginate, redirect_to, require
from console.wording import describe_decision, list_senders
from triggers.models import Decision, Delivery
from triggers.pushes import receiving

UNSHOWN = (
    *(f"registry__{name}" for name in ("password", "ca", "hook_token", "signing_secret")),
    *(f"trigger__{name}" for name in ("secret", "old_secret")),
)


@require_safe
@console_page
def deliveries(request: HttpRequest) -> HttpResponse:
    """List the deliveries, without counting them. They belong to no cluster, so only a role for all clusters shows them."""
    require(request, "triggers.view_delivery")
    filters = DeliveryFilters.from_request(request)
    context = {
        "title": "Deliveries",
        "filters": filters,
        "application": filters.find_application(request.user),
        "trigger": filters.find_trigger(request.user),
        "page": find_delivery_page(filters),
        "registries": Registry.objects.order_by("host").values_list("pk", "host"),
        "senders": list_senders(),
        "decisions": [(value, describe_decision(value)) for value in Decision.values],
    }
    return render(
        request,
        "console/registries/_deliveries.html" if is_partial(request, "list") else "console/registries/deliveries.html",
        context,
    )


@require_safe
@console_page
def delivery(request: HttpRequest, delivery_id: UUID) -> HttpResponse:
    rows = Delivery.objects.select_related("registry", "trigger__application__cluster", "replay_of").defer(*UNSHOWN)
    shown = get_visible(request, rows, pk=delivery_id)
    page = paginate(request, list_lines(shown))
    context = {
        "title": f"Delivery of {shown.received_at:%Y-%m-%d %H:%M:%S}",
        "crumbs": [("Deliveries", reverse("deliveries"))],
        "delivery": shown,
        "decision": describe_decision(shown.decision),
        "page": page,
        "body": lay_out_body(shown.body),
        "replays": shown.replays.only("received_at", "decision").order_by("-received_at")[:10],
        "can_replay": may_replay(request),
        "can_see_trigger": shown.trigger and request.user.has_perm("triggers.view_trigger", shown.trigger),
    }
    return render(request, "console/registries/delivery.html", context)


@require_POST
@console_page
def delivery_replay(request: HttpRequest, delivery_id: UUID) -> HttpResponse:
    """Decide again about what a delivery reported. This can call triggers of any cluster."""
    shown = get_visible(request, Delivery.objects.all(), pk=delivery_id)
    require(request, "triggers.add_triggercall")
    with transaction.atomic():
        replay = receiving.replay_delivery(shown, request.user)
        record_act(request, "delivery.replay", shown, replay=str(replay.pk), decision=replay.decision)
    messages.success(request, f"Decided again: {describe_decision(replay.decision)}.")
    return redirect_to(request, "delivery", replay.pk)


def may_replay(request: HttpRequest) -> bool:
    """Return whether the reader may call triggers on all clusters."""
    return request.user.has_perm("triggers.add_triggercall")

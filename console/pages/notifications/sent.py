"""What was sent over channels, and what became of it: the list, one message, and sending it again."""

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from clusters.models import Cluster
from console.pages.shared.page import console_page, is_partial, read_query, redirect_to, render_page, require
from triggers.models import DeliveryStatus, NotificationChannel, NotificationDelivery
from triggers.notifications import audited
from triggers.notifications.outbox import ChannelOff

VIEW, CHANGE = "triggers.view_notificationchannel", "triggers.change_notificationchannel"
PAGE_SIZE = 50  # rows
JOINED_SHOWN = 50
UNSHOWN = ("channel__configuration", *(f"notification__cluster__{name}" for name in Cluster.KEYS))


def sent_with_relations() -> QuerySet[NotificationDelivery]:
    """Return what was sent, newest first, with all that a list row shows."""
    rows = NotificationDelivery.objects.select_related("channel", "notification__cluster", "notification__application")
    return rows.defer(*UNSHOWN).order_by("-pk")


def list_newest(channel: NotificationChannel, number: int) -> list[NotificationDelivery]:
    return name_rows(sent_with_relations().filter(channel=channel)[:number])


def name_rows(rows: Iterable[NotificationDelivery]) -> list[NotificationDelivery]:
    """Return the rows, each with `about`: the name of what its news are about; empty where they are about nothing by name."""
    named = list(rows)
    for row in named:
        facts = row.notification.facts if isinstance(row.notification.facts, dict) else {}
        places = [facts.get(place) for place in ("application", "cluster")]
        names = [str(place.get("name", "")) for place in places if isinstance(place, dict)]
        row.about = next(filter(None, [*names, str(facts.get("subject") or "")]), "")  # type: ignore[attr-defined]
    return named


@require_safe
@console_page
def notifications_sent(request: HttpRequest) -> HttpResponse:
    """List what was sent, without counting it. `?before=` continues after the row with that id."""
    require(request, VIEW)
    channel, before = _read_id(read_query(request, "channel")), _read_id(read_query(request, "before"))
    status = read_query(request, "status")
    status = status if status in DeliveryStatus.values else ""
    rows = sent_with_relations()
    if channel:
        rows = rows.filter(channel=channel)
    if status:
        rows = rows.filter(status=status)
    if before:
        rows = rows.filter(pk__lt=before)
    found = name_rows(rows[: PAGE_SIZE + 1])
    context: dict[str, Any] = {
        "title": "Notifications sent",
        "crumbs": _crumbs()[:1],
        "filters": {"channel": channel, "status": status, "before": before},
        "is_narrow": bool(channel or status),
        "sent": found[:PAGE_SIZE],
        "has_older": len(found) > PAGE_SIZE,
    }
    if not is_partial(request, "list"):
        context["channels"] = NotificationChannel.objects.values_list("pk", "name")
        context["statuses"] = DeliveryStatus.choices
    return render_page(request, "console/notifications/sent.html", context)


@require_safe
@console_page
def notification_sent(request: HttpRequest, delivery_id: int) -> HttpResponse:
    """Show a message. The page follows it until it has arrived or failed."""
    require(request, VIEW)
    rows = sent_with_relations().select_related("notification__call", "joined_into")
    shown = get_object_or_404(rows.defer(*UNSHOWN, "notification__call__plan", "notification__call__before"), pk=delivery_id)
    joined = shown.joined.select_related("notification__cluster", "notification__application").defer(*UNSHOWN[1:])
    facts = shown.notification.facts
    context = {
        "title": f"{shown.notification.get_news_display()} over {shown.channel}",
        "crumbs": _crumbs(),
        "delivery": name_rows([shown])[0],
        "facts": facts if isinstance(facts, dict) else {},
        "joined": name_rows(joined.order_by("-pk")[:JOINED_SHOWN]),
        "is_waiting": shown.status == DeliveryStatus.WAITING,
        "can_see_call": shown.notification.call_id and request.user.has_perm("triggers.view_triggercall"),
    }
    if is_partial(request, "message"):
        return render(request, "console/notifications/_message.html", context)
    return render(request, "console/notifications/message.html", context)


@require_POST
@console_page
def notification_again(request: HttpRequest, delivery_id: int) -> HttpResponse:
    """Send a message again, with the same id."""
    require(request, CHANGE)
    shown = get_object_or_404(NotificationDelivery.objects.select_related("channel", "notification"), pk=delivery_id)
    try:
        sent = audited.repeat_delivery(request, shown)
    except ChannelOff as error:
        messages.error(request, str(error))
        return redirect_to(request, "notification_sent", shown.pk)
    messages.success(request, "It is sent again now. This page shows the answer.")
    return redirect_to(request, "notification_sent", sent.pk)


def _read_id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


def _crumbs() -> list[tuple[str, str]]:
    return [("Notifications", reverse("notifications")), ("Notifications sent", reverse("notifications_sent"))]

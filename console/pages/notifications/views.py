"""Channels: the list, the page of one, and adding, editing, testing, switching and deleting one. For administrators of all
clusters: a channel gets what its rules name, wherever that is."""

from copy import copy

from django.contrib import messages
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.pages.notifications.forms import ChannelForm
from console.pages.notifications.rules import list_places
from console.pages.notifications.sent import list_newest
from console.pages.shared.page import (
    console_page,
    is_partial,
    paginate,
    redirect_to,
    render_dialog,
    render_page,
    require,
    return_from,
)
from triggers.models import ChannelKind, DeliveryStatus, NotificationChannel, NotificationDelivery, NotificationRule
from triggers.notifications import audited
from triggers.notifications.kinds import describe_target

VIEW, ADD, CHANGE, DELETE = (f"triggers.{verb}_notificationchannel" for verb in ("view", "add", "change", "delete"))
NEW_KEY = "new_webhook_key"  # the session's key: the id of the webhook whose new signing key is shown once
SENT_SHOWN = 10  # on the channel's page; the list has all
KIND_HELP = {
    ChannelKind.MAIL: "By your own SMTP server.",
    ChannelKind.SLACK: "An incoming webhook of a channel.",
    ChannelKind.TEAMS: "A workflow that posts what it gets.",
    ChannelKind.DISCORD: "A webhook of a channel.",
    ChannelKind.MATTERMOST: "An incoming webhook of your server.",
    ChannelKind.TELEGRAM: "A bot that is in the chat.",
    ChannelKind.NTFY: "ntfy.sh or your own server.",
    ChannelKind.GOTIFY: "Your own server.",
    ChannelKind.WEBHOOK: "A signed POST to a program of yours.",
    ChannelKind.COMMIT: "A status at the commit that was deployed: GitHub, GitLab, Gitea, Forgejo.",
}


@require_safe
@console_page
def notifications(request: HttpRequest) -> HttpResponse:
    require(request, VIEW)
    page = paginate(request, _with_last_delivery())
    for channel in page.object_list:
        channel.target = describe_target(channel.kind, channel.values)
    context = {"title": "Notifications", "page": page, "channels": page.object_list}
    return render_page(request, "console/notifications/channels.html", context)


@require_safe
@console_page
def channel(request: HttpRequest, channel_id: int) -> HttpResponse:
    """Show a channel. The page holds a webhook's signing key once, after it was made."""
    require(request, VIEW)
    shown = get_object_or_404(NotificationChannel, pk=channel_id)
    context = {
        "title": shown.name,
        "crumbs": _crumbs(),
        "channel": shown,
        "target": describe_target(shown.kind, shown.values),
        "places": list_places(shown),
        "sent": list_newest(shown, SENT_SHOWN),
    }
    if is_partial(request, "state"):
        return render(request, "console/notifications/_channel_state.html", context)
    return render(request, "console/notifications/channel.html", context | {"new_key": _read_new_key(request, shown)})


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def channel_create(request: HttpRequest) -> HttpResponse:
    """Choose a kind, then fill in its fields. `?kind=` is the kind; without one the page offers all."""
    require(request, ADD)
    kind = request.GET.get("kind", "")
    if kind not in ChannelKind.values:
        kinds = [(value, label, KIND_HELP[ChannelKind(value)]) for value, label in ChannelKind.choices]
        context = {"title": "Add channel", "kinds": kinds, "crumbs": _crumbs()}
        return render_dialog(request, "console/notifications/_channel_kinds.html", context)
    form = ChannelForm(request.POST if request.method == "POST" else None, instance=NotificationChannel(kind=kind))
    if request.method == "POST" and form.is_valid():
        added = form.save(commit=False)
        audited.add_channel(request, added)
        if kind == ChannelKind.WEBHOOK:
            request.session[NEW_KEY] = added.pk
        messages.success(request, f"{added} was added. Test it, and choose what goes over it.")
        return redirect_to(request, "channel", added.pk)
    return _render_form(request, form, f"Add channel: {ChannelKind(kind).label}")


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def channel_edit(request: HttpRequest, channel_id: int) -> HttpResponse:
    shown = _get_channel(request, channel_id, CHANGE)
    form = ChannelForm(request.POST if request.method == "POST" else None, instance=copy(shown))
    if request.method == "POST" and form.is_valid():
        saved = form.save(commit=False)
        audited.change_channel(request, saved)
        messages.success(request, f"{saved} was saved.")
        return redirect_to(request, "channel", saved.pk)
    return _render_form(request, form, "Edit channel", shown)


@require_POST
@console_page
def channel_test(request: HttpRequest, channel_id: int) -> HttpResponse:
    """Send a test now. The page of the message follows, which shows the answer."""
    sent = audited.test_channel(request, _get_channel(request, channel_id, CHANGE))
    return redirect_to(request, "notification_sent", sent.pk)


@require_POST
@console_page
def channel_switch(request: HttpRequest, channel_id: int) -> HttpResponse:
    """Turn the channel on or off, as `enabled` says."""
    shown = _get_channel(request, channel_id, CHANGE)
    enabled = request.POST.get("enabled") == "1"
    audited.switch_channel(request, shown, enabled)
    messages.success(request, f"{shown} is on." if enabled else f"{shown} is off. What happens meanwhile is not sent over it.")
    return return_from(request, "channel", shown.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def channel_key(request: HttpRequest, channel_id: int) -> HttpResponse:
    """Make a new signing key of a webhook. It is shown once, on the page that follows."""
    shown = _get_channel(request, channel_id, CHANGE)
    if shown.kind != ChannelKind.WEBHOOK:
        raise Http404
    if request.method == "POST":
        audited.renew_key(request, shown)
        request.session[NEW_KEY] = shown.pk
        return redirect_to(request, "channel", shown.pk, query="#key")
    context = {"title": "New signing key", "channel": shown, "crumbs": _crumbs(shown)}
    return render_dialog(request, "console/notifications/_channel_key.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def channel_delete(request: HttpRequest, channel_id: int) -> HttpResponse:
    shown = _get_channel(request, channel_id, DELETE)
    if request.method == "POST":
        audited.delete_channel(request, shown)
        messages.success(request, f"{shown} was deleted.")
        return redirect_to(request, "notifications")
    context = {"title": "Delete channel", "channel": shown, "rule_count": shown.rules.count(), "crumbs": _crumbs(shown)}
    return render_dialog(request, "console/notifications/_channel_delete.html", context)


def _get_channel(request: HttpRequest, channel_id: int, permission: str) -> NotificationChannel:
    require(request, permission)
    return get_object_or_404(NotificationChannel, pk=channel_id)


def _with_last_delivery() -> QuerySet[NotificationChannel]:
    """Return channels with `rule_count`, and `last_status`, `last_at` and `last_problem` of the newest message."""
    sent = NotificationDelivery.objects.exclude(status=DeliveryStatus.JOINED)
    newest = sent.filter(channel=OuterRef("pk")).order_by("-pk")
    rules = NotificationRule.objects.filter(channel=OuterRef("pk")).order_by().values("channel").annotate(number=Count("pk"))
    return NotificationChannel.objects.annotate(
        rule_count=Coalesce(Subquery(rules.values("number")), 0),
        last_id=Subquery(newest.values("pk")[:1]),
        last_status=Subquery(newest.values("status")[:1]),
        last_at=Subquery(newest.values("created_at")[:1]),
        last_problem=Subquery(newest.values("problem")[:1]),
    ).order_by("name")


def _read_new_key(request: HttpRequest, shown: NotificationChannel) -> str:
    """Return the key that was just made, and forget that: a reload shows it no longer."""
    if request.method != "GET" or request.session.get(NEW_KEY) != shown.pk:
        return ""
    del request.session[NEW_KEY]
    return audited.read_key(shown) if request.user.has_perm(CHANGE) else ""


def _render_form(
    request: HttpRequest, form: ChannelForm, title: str, edited: NotificationChannel | None = None
) -> HttpResponse:
    context = {"title": title, "form": form, "channel": edited, "crumbs": _crumbs(edited)}
    return render(request, "console/notifications/channel_form.html", context)


def _crumbs(shown: NotificationChannel | None = None) -> list[tuple[str, str]]:
    own = [(shown.name, reverse("channel", args=[shown.pk]))] if shown else []
    return [("Notifications", reverse("notifications")), *own]

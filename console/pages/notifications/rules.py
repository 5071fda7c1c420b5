"""What goes over a channel, by place: everything, a cluster, or an application. One dialog for each place."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from clusters.models import Application, Cluster
from console.pages.notifications.forms import RulesForm
from console.pages.shared.page import console_page, redirect_to, render_dialog, require
from triggers.models import ChannelKind, News, NotificationChannel, NotificationRule
from triggers.notifications import audited

CHANGE = "triggers.change_notificationchannel"
KEYS = (
    *(f"cluster__{name}" for name in Cluster.KEYS),
    *(f"application__cluster__{name}" for name in Cluster.KEYS),
)


@dataclass
class Place:
    """A place and the labels of the news that go over the channel for it. Neither a cluster nor an application: everything."""

    cluster: Cluster | None
    application: Application | None
    labels: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        if self.application:
            return f"{self.application} on {self.cluster}"
        return str(self.cluster) if self.cluster else "all clusters"

    @property
    def query(self) -> str:
        """The place as a query of the dialog's address."""
        chosen = {"application": self.application, "cluster": None if self.application else self.cluster}
        return urlencode({"known": 1} | {name: row.pk for name, row in chosen.items() if row})


def list_places(channel: NotificationChannel) -> list[Place]:
    """Return the places that the channel has rules for: everything first, then clusters and applications by name."""
    rules = NotificationRule.objects.filter(channel=channel).select_related("cluster", "application__cluster").defer(*KEYS)
    return group_rules(rules)


def group_rules(rules: Iterable[NotificationRule]) -> list[Place]:
    places: dict[tuple[int | None, int | None], Place] = {}
    order = {str(news): number for number, news in enumerate(News)}
    for rule in sorted(rules, key=lambda rule: order.get(rule.news, len(order))):
        application = rule.application
        cluster = application.cluster if application else rule.cluster
        place = places.setdefault((rule.cluster_id, rule.application_id), Place(cluster, application))
        place.labels.append(str(rule.get_news_display()))
    return sorted(places.values(), key=_order)


def _order(place: Place) -> tuple[str, str, int]:
    cluster, application = place.cluster, place.application
    return (cluster.name if cluster else "", application.name if application else "", application.pk if application else 0)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def channel_rules(request: HttpRequest, channel_id: int) -> HttpResponse:
    """Choose what of one place goes over the channel. `?known=` with `application=` or `cluster=` names a place that has rules;
    without it the dialog asks for the place."""
    require(request, CHANGE)
    rows = NotificationChannel.objects.exclude(kind=ChannelKind.COMMIT).defer("configuration")
    channel = get_object_or_404(rows, pk=channel_id)
    known = _read_place(request) if request.GET.get("known") else None
    form = RulesForm(request.POST if request.method == "POST" else None, known=known is not None)
    if known and request.method != "POST":
        form.initial["news"] = sorted(find_news(channel, known))
    if request.method == "POST" and form.is_valid():
        chosen = known or Place(form.cleaned_data["cluster"], form.cleaned_data["application"])
        news = set(form.cleaned_data["news"]) | (set() if known else find_news(channel, chosen))
        audited.set_rules(request, channel, chosen.cluster, chosen.application, news)
        messages.success(request, f"What goes over {channel} was saved.")
        return redirect_to(request, "channel", channel.pk)
    crumbs = [("Notifications", reverse("notifications")), (channel.name, reverse("channel", args=[channel.pk]))]
    title = "What goes over it" if known else "Add rules"
    context = {"title": title, "channel": channel, "form": form, "place": known, "crumbs": crumbs}
    return render_dialog(request, "console/notifications/_channel_rules.html", context)


def _read_place(request: HttpRequest) -> Place:
    """Raises Http404 for a place that no longer exists."""
    if application := request.GET.get("application"):
        rows = Application.objects.select_related("cluster").defer(*(f"cluster__{name}" for name in Cluster.KEYS))
        found = get_object_or_404(rows, pk=_read_id(application))
        return Place(found.cluster, found)
    if cluster := request.GET.get("cluster"):
        return Place(get_object_or_404(Cluster.objects.defer(*Cluster.KEYS), pk=_read_id(cluster)), None)
    return Place(None, None)


def _read_id(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else 0


def find_news(channel: NotificationChannel, place: Place) -> set[str]:
    """Return what of the place goes over the channel, as values of News."""
    cluster = None if place.application else place.cluster
    rules = NotificationRule.objects.filter(channel=channel, application=place.application, cluster=cluster)
    return set(rules.values_list("news", flat=True))

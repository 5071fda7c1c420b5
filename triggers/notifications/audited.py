"""Changes of channels and their rules, for the pages and the API alike, each recorded in the audit log without any secret."""

from collections import defaultdict
from collections.abc import Collection

from django.db import transaction
from django.http import HttpRequest

from clusters.access.audit import record_act, record_addition, record_change
from clusters.access.changes import list_changes, read_stored_values
from clusters.models import Application, Cluster
from triggers.models import (
    DEFAULT_NEWS,
    ChannelKind,
    News,
    NotificationChannel,
    NotificationDelivery,
    NotificationRule,
)
from triggers.notifications.kinds import describe_target
from triggers.notifications.outbox import send_again, send_test, turn_off, turn_on
from triggers.notifications.webhook import SECRET, give_signing_key

FIELDS = ("name", "configuration")


@transaction.atomic
def add_channel(request: HttpRequest, channel: NotificationChannel) -> None:
    """Save a new channel, with the rules that suit most: what failed and what works again, everywhere. A webhook gets a key."""
    if channel.kind == ChannelKind.WEBHOOK:
        _put_key(channel)
    channel.save(force_insert=True)
    if channel.kind != ChannelKind.COMMIT:
        NotificationRule.objects.bulk_create(NotificationRule(channel=channel, news=news) for news in DEFAULT_NEWS)
    record_addition(request, "channel.add", channel, ("name", "kind", "configuration"), **describe(channel))


@transaction.atomic
def change_channel(request: HttpRequest, channel: NotificationChannel) -> None:
    """Save the channel's name and configuration."""
    before = read_stored_values(channel, FIELDS)
    channel.save(update_fields=FIELDS)
    record_change(request, "channel.change", channel, before, **describe(channel))


@transaction.atomic
def renew_key(request: HttpRequest, channel: NotificationChannel) -> None:
    """Give a webhook a new signing key. The former one signs nothing any longer."""
    _put_key(channel)
    channel.save(update_fields=["configuration"])
    record_act(request, "channel.key", channel)


def read_key(channel: NotificationChannel) -> str:
    """Return the signing key of a webhook; empty for another channel."""
    return str(channel.values.get(SECRET, "")) if channel.kind == ChannelKind.WEBHOOK else ""


def _put_key(channel: NotificationChannel) -> None:
    values = channel.values
    give_signing_key(values)
    channel.values = values


@transaction.atomic
def delete_channel(request: HttpRequest, channel: NotificationChannel) -> None:
    record_act(request, "channel.delete", channel, **describe(channel))
    channel.delete()


@transaction.atomic
def switch_channel(request: HttpRequest, channel: NotificationChannel, enabled: bool) -> None:
    if enabled:
        turn_on(channel)
    else:
        turn_off(channel)
    record_act(request, "channel.on" if enabled else "channel.off", channel)


@transaction.atomic
def set_rules(
    request: HttpRequest,
    channel: NotificationChannel,
    cluster: Cluster | None,
    application: Application | None,
    news: Collection[str],
) -> None:
    """Let exactly these news of one place go over the channel. The place is the application, else the cluster, else all."""
    place = {"application": application, "cluster": None if application else cluster}
    NotificationChannel.objects.select_for_update().get(pk=channel.pk)
    rules = NotificationRule.objects.filter(channel=channel, **{f"{name}_id": row and row.pk for name, row in place.items()})
    before = set(rules.values_list("news", flat=True))
    rules.exclude(news__in=news).delete()
    added = [NotificationRule(channel=channel, news=each, **place) for each in sorted(set(news) - before)]
    NotificationRule.objects.bulk_create(added)
    if changes := list_changes({"news": _name_news(before)}, {"news": _name_news(news)}):
        where = application or cluster
        record_act(request, "channel.rules", channel, where=str(where) if where else "everything", changes=changes)


@transaction.atomic
def replace_rules(
    request: HttpRequest,
    channel: NotificationChannel,
    rules: Collection[tuple[str, Cluster | None, Application | None]],
) -> None:
    """Let exactly this go over the channel: news, of a cluster, of an application or of everything."""
    wanted: dict[tuple[Cluster | None, Application | None], set[str]] = defaultdict(set)
    for rule in NotificationRule.objects.filter(channel=channel).select_related("cluster", "application"):
        wanted[rule.cluster, rule.application] = set()
    for news, cluster, application in rules:
        wanted[cluster, application].add(news)
    for (cluster, application), chosen in wanted.items():
        set_rules(request, channel, cluster, application, chosen)


def _name_news(news: Collection[str]) -> list[str]:
    return [str(each.label) for each in News if each in set(news)]


@transaction.atomic
def test_channel(request: HttpRequest, channel: NotificationChannel) -> NotificationDelivery:
    """Send a test. Returns its delivery: read it again until it does not wait."""
    record_act(request, "channel.test", channel)
    return send_test(channel, request.user.get_username())


@transaction.atomic
def repeat_delivery(request: HttpRequest, delivery: NotificationDelivery) -> NotificationDelivery:
    """Send a message again. Returns the delivery that is sent. Raises ChannelOff."""
    record_act(request, "notification.send", delivery.channel, news=str(delivery.notification.get_news_display()))
    return send_again(delivery)


def describe(channel: NotificationChannel) -> dict[str, str]:
    return {"to": describe_target(channel.kind, channel.values)}

"""The outbox: news are written in the transaction that makes them, with a row for each channel that they go over.

Nobody here sends anything, and nobody waits. The watcher sends what is due (triggers.notifications.sending).
"""

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from clusters.models import Application, Cluster
from triggers.models import (
    DeliveryStatus,
    News,
    Notification,
    NotificationChannel,
    NotificationDelivery,
    NotificationRule,
    TriggerCall,
)
from triggers.notifications.news import clean_facts, describe_call, describe_place
from triggers.notifications.prune import surplus


class ChannelOff(Exception):
    """Nothing is sent over a channel that is turned off. The message is a sentence for people."""


def record_news(
    news: News,
    *,
    cluster: Cluster | None = None,
    application: Application | None = None,
    call: TriggerCall | None = None,
    subject: str = "",
    facts: Mapping[str, Any] | None = None,
) -> Notification | None:
    """Write news for every channel whose rules want it, within the transaction of the caller. Costs one query where none does.

    The place is the call's, the application's or the cluster's; without any of them, only rules for everything match.
    `subject` says what it is about where that is something else, such as a registry's host: equal news of one subject are
    joined. `facts` are added to what is sent: values for JSON, such as `{"sentence": "…"}`, never a secret. Returns None if
    nobody wants it."""
    application = application or (call.application if call else None)
    cluster = cluster or (application.cluster if application else None)
    places = (cluster.pk if cluster else None, application.pk if application else None)
    channels = find_channels([news], *places).get(news, set())
    return write_news(news, channels, cluster, application, call, subject, facts) if channels else None


def find_channels(news: Collection[News], cluster_id: int | None, application_id: int | None) -> dict[str, set[int]]:
    """Return the ids of the channels that are on and whose rules want it, by news. One query."""
    place = Q(cluster__isnull=True, application__isnull=True)
    if cluster_id:
        place |= Q(cluster=cluster_id)
    if application_id:
        place |= Q(application=application_id)
    wanted: dict[str, set[int]] = {}
    rules = NotificationRule.objects.order_by().filter(place, news__in=list(news), channel__enabled=True)
    for name, channel_id in rules.values_list("news", "channel_id"):
        wanted.setdefault(name, set()).add(channel_id)
    return wanted


def write_news(
    news: News,
    channels: Collection[int],
    cluster: Cluster | None,
    application: Application | None,
    call: TriggerCall | None,
    subject: str = "",
    facts: Mapping[str, Any] | None = None,
) -> Notification:
    """Write news for these channels, in the caller's transaction."""
    now = timezone.now()
    described = {"type": str(news), "time": now.isoformat(timespec="milliseconds")}
    described |= describe_place(cluster, application) | (describe_call(call) if call else {})
    if subject and news != News.TEST:
        described["subject"] = subject
    with transaction.atomic():
        notification = Notification.objects.create(
            news=news,
            recorded_at=now,
            cluster=cluster,
            application=application,
            call=call,
            group=make_group(news, cluster, application, subject),
            facts=clean_facts(described | dict(facts or {})),
        )
        NotificationDelivery.objects.bulk_create(
            NotificationDelivery(channel_id=pk, notification=notification, created_at=now, next_attempt_at=now)
            for pk in sorted(channels)
        )
    surplus.note_added()
    return notification


def make_group(news: str, cluster: Cluster | None, application: Application | None, subject: str) -> str:
    parts = (news, application.pk if application else cluster.pk if cluster else "", bool(application), subject)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def send_test(channel: NotificationChannel, by: str) -> NotificationDelivery:
    """Send a message that says that it is a test, in the name of `by`, also over a channel that is off. Returns the delivery,
    which is sent within seconds: read it again until it does not wait."""
    sentence = f"This is a test of the channel {channel.name}, sent by {by}. Nothing has happened."
    subject = timezone.now().isoformat()  # no test is equal to another
    notification = write_news(News.TEST, [channel.pk], None, None, None, subject, {"sentence": sentence})
    return notification.deliveries.get()


def send_again(delivery: NotificationDelivery) -> NotificationDelivery:
    """Send a message again, with the same id. Returns the delivery that is sent: for a joined one, the one that it was joined
    into. Its attempts begin anew. Raises ChannelOff."""
    with transaction.atomic():
        rows = NotificationDelivery.objects.select_related("channel", "notification", "joined_into__channel")
        found = rows.get(pk=delivery.pk)
        found = found.joined_into or found
        if not found.channel.enabled and found.notification.news != News.TEST:
            raise ChannelOff(f"The channel {found.channel.name} is turned off. Turn it on, and send again.")
        found.status, found.attempts, found.next_attempt_at = DeliveryStatus.WAITING, 0, timezone.now()
        found.save(update_fields=["status", "attempts", "next_attempt_at"])
    return found


def turn_on(channel: NotificationChannel) -> None:
    channel.enabled, channel.off_reason, channel.off_at = True, "", None
    channel.save(update_fields=["enabled", "off_reason", "off_at"])


def turn_off(channel: NotificationChannel, reason: str = "") -> None:
    """Turn the channel off; what waits is not sent. `reason` is a sentence if Windlass does it of itself."""
    with transaction.atomic():
        channel.enabled, channel.off_reason, channel.off_at = False, reason[:500], timezone.now()
        channel.save(update_fields=["enabled", "off_reason", "off_at"])
        waiting = channel.deliveries.filter(status=DeliveryStatus.WAITING).exclude(notification__news=News.TEST)
        waiting.update(status=DeliveryStatus.DROPPED, next_attempt_at=None, problem="The channel was turned off.")

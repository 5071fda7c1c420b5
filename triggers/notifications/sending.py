"""Sends what is due. Every watcher looks every few seconds; a channel is worked at by one of them, which holds its lease.

A turn of a channel decides, in one transaction, what is joined into which message. Then it sends one message after the other.
Before an attempt the time of the next one is stored, so that a process that is killed loses nothing: the message is sent again
then, with the same id. While a receiver is waited for, nothing is held, neither a transaction nor a connection of the pool.
"""

import threading
import time
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models import Count, Max, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from clusters import meters
from clusters.leases import make_lease_owner
from clusters.steady import run_safely
from clusters.waits import release_connection
from triggers.models import ALONE, DeliveryStatus, News, NotificationChannel, NotificationDelivery
from triggers.notifications.grouping import MINUTE, WINDOW, Decision, Sent, Waiting, decide
from triggers.notifications.messages import compose_message
from triggers.notifications.outbox import turn_off
from triggers.notifications.outcomes import NotSent, Receipt
from triggers.notifications.senders import send_message

log = structlog.get_logger("windlass.notifications")

# After the first attempt, the second and so on. The sixth is the last.
DELAYS = tuple(timedelta(seconds=seconds) for seconds in (30, 120, 600, 3600, 21_600))
ATTEMPTS = len(DELAYS) + 1
UNCERTAIN = timedelta(minutes=2)  # after a last attempt whose end nobody recorded
LEASE = timedelta(seconds=120)  # longer than a turn can take
TURN_SECONDS = 60.0  # after which a turn begins no further message
CHANNELS_AT_ONCE = 4  # of one watcher
BATCH = 500  # rows of one statement
GONE_REASON = "Its receiver answered 410: it wants no more messages."
OFF = "The channel is turned off."


class Courier:
    """Sends for this process, a few channels at once, each in a thread. `look` returns at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[int, threading.Thread] = {}
        self._is_over = threading.Event()

    def look(self) -> int:
        """Begin a turn of each channel for which something is due. Return their number. Raises DatabaseError."""
        begun = 0
        for channel_id in list_due_channels():
            with self._lock:
                if channel_id in self._turns or len(self._turns) >= CHANNELS_AT_ONCE:
                    continue
                turn = threading.Thread(target=self._take_turn, args=(channel_id,), name=f"courier-{channel_id}", daemon=True)
                self._turns[channel_id] = turn
            turn.start()
            begun += 1
        return begun

    def finish(self, seconds: float) -> None:
        """Begin no further message, and wait so long for those under way. What is cut off is sent again by another process."""
        self._is_over.set()
        with self._lock:
            turns = list(self._turns.values())
        end = time.monotonic() + seconds
        for turn in turns:
            turn.join(max(end - time.monotonic(), 0))

    def _take_turn(self, channel_id: int) -> None:
        def send_over_channel() -> None:
            take_turn(channel_id, self._is_over)

        try:
            run_safely(send_over_channel)
        finally:
            connection.close()
            with self._lock:
                del self._turns[channel_id]


def send_due() -> int:
    """Take a turn of each channel for which something is due, one after the other. Return how many messages were tried."""
    return sum(take_turn(channel_id) for channel_id in list_due_channels())


def only_waiting(rows: QuerySet[NotificationDelivery]) -> QuerySet[NotificationDelivery]:
    """Keep what waits. The state is in the query itself: with a parameter, SQLite does not see that the index covers it."""
    return rows.extra(where=["triggers_notificationdelivery.status = 'waiting'"])


def list_due_channels() -> list[int]:
    due = only_waiting(NotificationDelivery.objects.filter(next_attempt_at__lte=timezone.now()))
    return sorted(set(due.order_by().values_list("channel_id", flat=True)))  # SQL's DISTINCT would read by another index


def take_turn(channel_id: int, is_over: threading.Event | None = None) -> int:
    """Send what is due over the channel, unless another process does; once `is_over` is set, no further message. Return
    how many messages were tried."""
    owner = make_lease_owner()
    if not claim_channel(channel_id, owner):
        return 0
    tried, end = 0, time.monotonic() + TURN_SECONDS
    try:
        channel = NotificationChannel.objects.get(pk=channel_id)
        drop_unwanted(channel)
        join_waiting(channel, timezone.now())
        for delivery_id in list_messages(channel):
            if time.monotonic() >= end or (is_over and is_over.is_set()):
                break
            tried += send_one(channel, delivery_id)
    finally:
        NotificationChannel.objects.filter(pk=channel_id, lease_owner=owner).update(lease_owner="", lease_expires_at=None)
    return tried


def claim_channel(channel_id: int, owner: str) -> bool:
    """Claim the channel. A lease that ends later than any can was given before a clock was set back, and does not hold."""
    is_held = Q(lease_expires_at__gt=Now(), lease_expires_at__lte=Now() + 2 * LEASE)
    free = NotificationChannel.objects.filter(~is_held | Q(lease_expires_at__isnull=True), pk=channel_id)
    return free.update(lease_owner=owner, lease_expires_at=Now() + LEASE) == 1


def drop_unwanted(channel: NotificationChannel) -> None:
    """Give up what waits for a channel that is off, except for a test."""
    if not channel.enabled:
        waiting = channel.deliveries.filter(status=DeliveryStatus.WAITING).exclude(notification__news=News.TEST)
        waiting.update(status=DeliveryStatus.DROPPED, next_attempt_at=None, problem=OFF)


def join_waiting(channel: NotificationChannel, now: datetime) -> None:
    """Decide about the news that are in no message yet. From then on a message stays as it is."""
    with transaction.atomic():
        if unsent := list_unsent(channel):
            store_decision(decide(unsent, find_sent(channel, now), now), now)


def list_unsent(channel: NotificationChannel) -> list[Waiting]:
    rows = only_waiting(NotificationDelivery.objects.filter(channel=channel, first_attempt_at__isnull=True)).order_by("pk")
    found = rows.values_list("pk", "notification__group", "notification__news", "notification__application_id")
    return [Waiting(*values) for values in found]


def find_sent(channel: NotificationChannel, now: datetime) -> Sent:
    rows = NotificationDelivery.objects.filter(channel=channel, first_attempt_at__gt=now - WINDOW).order_by()
    rows = rows.exclude(notification__news__in=ALONE)
    groups = dict(rows.values_list("notification__group").annotate(last=Max("first_attempt_at")))
    messages = rows.exclude(status=DeliveryStatus.JOINED)
    number = Count("pk", filter=Q(first_attempt_at__gt=now - MINUTE))
    digest_at = Max("first_attempt_at", filter=Q(is_digest=True))
    found = messages.aggregate(number=number, last_at=Max("first_attempt_at"), digest_at=digest_at)
    return Sent(groups, found["number"], found["last_at"], found["digest_at"])


def store_decision(decision: Decision, now: datetime) -> None:
    rows = NotificationDelivery.objects
    for until, pks in decision.held.items():
        for start in range(0, len(pks), BATCH):
            rows.filter(pk__in=pks[start : start + BATCH]).exclude(next_attempt_at=until).update(next_attempt_at=until)
    for group in decision.messages:
        rows.filter(pk=group.lead).update(
            count=len(group.pks), is_digest=group.is_digest, first_attempt_at=now, next_attempt_at=now
        )
        for start in range(0, len(group.others), BATCH):
            rows.filter(pk__in=group.others[start : start + BATCH]).update(
                status=DeliveryStatus.JOINED, joined_into=group.lead, first_attempt_at=now, next_attempt_at=None
            )


def list_messages(channel: NotificationChannel) -> list[int]:
    """Return the ids of the messages that are due."""
    rows = NotificationDelivery.objects.filter(channel=channel, first_attempt_at__isnull=False)
    return list(only_waiting(rows.filter(next_attempt_at__lte=timezone.now())).order_by("pk").values_list("pk", flat=True))


def send_one(channel: NotificationChannel, delivery_id: int) -> bool:
    """Try once to send the message. Return False if it is no longer due."""
    delivery = NotificationDelivery.objects.select_related("notification").get(pk=delivery_id)
    if not begin_attempt(delivery, timezone.now()):
        return False
    message, values = compose_message(delivery), channel.values
    release_connection()
    try:
        receipt = send_message(channel.kind, values, message)
    except NotSent as error:
        note_failure(channel, delivery, error)
    except Exception as error:  # a library's, about what a receiver answers: it costs this attempt, not the thread
        log.exception("a defect ended the attempt to send a notification", channel=channel.name)
        note_failure(channel, delivery, NotSent(f"Windlass has a defect ({type(error).__name__}); its log has the details."))
    else:
        note_success(channel, delivery, receipt)
    return True


def begin_attempt(delivery: NotificationDelivery, now: datetime) -> bool:
    """Store the attempt and, in case that it is cut off, the time of the next one. Return False if somebody else did."""
    same = NotificationDelivery.objects.filter(
        pk=delivery.pk, status=DeliveryStatus.WAITING, attempts=delivery.attempts, next_attempt_at=delivery.next_attempt_at
    )
    delivery.attempts = min(delivery.attempts + 1, ATTEMPTS)
    delivery.last_attempt_at = now
    delivery.next_attempt_at = now + find_delay(delivery.attempts, UNCERTAIN)
    names = ("attempts", "last_attempt_at", "next_attempt_at")
    return same.update(**{name: getattr(delivery, name) for name in names}) == 1


def find_delay(attempts: int, otherwise: timedelta) -> timedelta:
    return DELAYS[attempts - 1] if attempts < ATTEMPTS else otherwise


def note_success(channel: NotificationChannel, delivery: NotificationDelivery, receipt: Receipt) -> None:
    end_attempt(
        delivery,
        status=DeliveryStatus.DELIVERED,
        next_attempt_at=None,
        answer_status=receipt.status,
        answer=clean(receipt.answer),
        problem=clean(receipt.note),
    )
    meters.NOTIFICATIONS.add(channel.kind, "delivered")
    log.info("notification sent", channel=channel.name, message=delivery.notification.webhook_id, attempt=delivery.attempts)


def note_failure(channel: NotificationChannel, delivery: NotificationDelivery, error: NotSent) -> None:
    is_last = error.is_final or delivery.attempts >= ATTEMPTS
    delay = max(find_delay(delivery.attempts, UNCERTAIN), min(timedelta(seconds=error.retry_after or 0), DELAYS[-1]))
    end_attempt(
        delivery,
        status=DeliveryStatus.FAILED if is_last else DeliveryStatus.WAITING,
        next_attempt_at=None if is_last else timezone.now() + delay,
        answer_status=error.status,
        answer=clean(error.answer),
        problem=clean(error.sentence),
    )
    meters.NOTIFICATIONS.add(channel.kind, "failed")
    log.warning("notification not sent", channel=channel.name, message=delivery.notification.webhook_id, reason=error.sentence)
    if error.is_gone:
        turn_off(channel, GONE_REASON)
        log.warning("channel turned off", channel=channel.name, reason=GONE_REASON)


def end_attempt(delivery: NotificationDelivery, **values: Any) -> None:
    """Store how the attempt ended, unless another one has begun or somebody has ended it meanwhile."""
    mine = NotificationDelivery.objects.filter(
        pk=delivery.pk, status=DeliveryStatus.WAITING, next_attempt_at=delivery.next_attempt_at
    )
    mine.update(**values)


def clean(text: str) -> str:
    return text.replace("\0", "")[:500]

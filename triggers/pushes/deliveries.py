"""Store deliveries with their lines, and prune old ones. Besides `refused_calls`, nothing else
writes Delivery.

A message that makes a call is stored whole. So are the first ones of a minute at one link that lead to nothing; the others of
that minute are counted on one row for each decision. Of refused messages, which anybody who knows the link can send, the first
one of a minute is stored without most of its body. So a flood leaves few rows, at once and not only after the next prune.

Text from senders is hostile: `clean_line` and `clean_unicode` make it fit for a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from clusters.batches import SurplusPruner, delete_in_batches
from clusters.engine.cleaning import clean_text
from triggers.models import Decision, Delivery, DeliveryLine
from triggers.repeats import insert_or_count, make_row_id, start_of_minute

log = structlog.get_logger("windlass.deliveries")

MESSAGE_LENGTH = 500
DIGEST_LENGTH = 160
WHOLE_A_MINUTE = 60  # deliveries at one link, after which those that lead to nothing are counted
EXCERPT_LENGTH = 500  # characters of the body of a row on which others are counted
EXCERPT_LINES = 10

# The most telling decision first.
RANKING = (
    Decision.TRIGGERED,
    Decision.REJECTED,
    Decision.SIGNATURE,
    Decision.YOUNG,
    Decision.DUPLICATE,
    Decision.LEFT,
    Decision.UNCHANGED,
    Decision.TAG,
    Decision.IMAGE,
    Decision.ALERT,
    Decision.UNSUPPORTED,
    Decision.UNREADABLE,
    Decision.REFUSED,
)


@dataclass(frozen=True)
class Receipt:
    """A stored delivery and its lines, in order. A line's `call` is the call as it was accepted.

    A delivery that was only counted has the id of the row that counts it, and its lines are not stored."""

    delivery: Delivery
    lines: Sequence[DeliveryLine] = ()


def make_line(image: str, tag: str, digest: str, decision: Decision, message: str, **more: Any) -> DeliveryLine:
    return DeliveryLine(image=image, tag=tag, digest=digest, decision=decision, message=message[:MESSAGE_LENGTH], **more)


def store_delivery(
    delivery: Delivery, lines: Sequence[DeliveryLine], decision: Decision = Decision.UNREADABLE, message: str = ""
) -> Receipt:
    """Save the delivery with its lines. `decision` and `message` count for a delivery without lines; else the most telling
    line decides."""
    if lines:
        first = min(lines, key=lambda line: RANKING.index(Decision(line.decision)))
        decision, message = Decision(first.decision), first.message
    delivery.decision, delivery.message = decision, message[:MESSAGE_LENGTH]
    with transaction.atomic(savepoint=False):
        kept = insert_delivery(delivery, lines)
        if kept is None:
            return Receipt(delivery, lines)
        for line in kept:
            line.delivery = delivery
        DeliveryLine.objects.bulk_create(kept)
    surplus.note_added()
    log.info("delivery", delivery_id=str(delivery.pk), source=delivery.source, sender=delivery.sender, decision=str(decision))
    return Receipt(delivery, lines)


def insert_delivery(delivery: Delivery, lines: Sequence[DeliveryLine]) -> Sequence[DeliveryLine] | None:
    """Insert the delivery, or count it. Return the lines to store with it; None when it was counted."""
    if is_stored_whole(delivery):
        delivery.save(force_insert=True)
        return lines
    delivery.pk = make_row_id("delivery", delivery.registry_id, delivery.trigger_id, delivery.decision, at=delivery.received_at)
    delivery.body = delivery.body[:EXCERPT_LENGTH]
    return lines[:EXCERPT_LINES] if insert_or_count(delivery, delivery.received_at) else None


def is_stored_whole(delivery: Delivery) -> bool:
    """Return whether the delivery gets a row of its own: one that made a call always, a refused one never, and any other one as
    long as its link has few rows in this minute. Polling and people make few."""
    if delivery.decision == Decision.TRIGGERED or delivery.source not in (Delivery.Source.REGISTRY, Delivery.Source.TRIGGER):
        return True
    if delivery.decision == Decision.SIGNATURE:
        return False
    link = {"registry": delivery.registry_id} if delivery.registry_id else {"trigger": delivery.trigger_id}
    rows = Delivery.objects.filter(**link, received_at__gte=start_of_minute(delivery.received_at)).order_by()
    return len(rows.values_list("pk")[:WHOLE_A_MINUTE]) < WHOLE_A_MINUTE


def prune_deliveries() -> int:
    """Delete deliveries by age and count (settings). Return how many were deleted."""
    horizon = timezone.now() - timedelta(days=settings.DELIVERY_RETENTION_DAYS)
    times = Delivery.objects.order_by("-received_at").values_list("received_at", flat=True)
    for newest_surplus in times[settings.DELIVERY_RETENTION_COUNT :][:1]:
        horizon = max(horizon, newest_surplus)
    return delete_in_batches(Delivery.objects.filter(received_at__lte=horizon).order_by("received_at"))


# Whoever adds deliveries notes it here, so that their number stays bounded between the watcher's prunes.
surplus = SurplusPruner("DELIVERY_RETENTION_COUNT", prune_deliveries)


def clean_line(text: str, length: int) -> str:
    return clean_unicode(clean_text(text, length))


def clean_unicode(text: str) -> str:
    """Remove NUL and replace lone surrogates, which no database accepts."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()

"""Store deliveries with their lines, and prune old ones. Nothing else writes Delivery.

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

from clusters.batches import delete_in_batches
from clusters.engine.cleaning import clean_text
from triggers.models import Decision, Delivery, DeliveryLine

log = structlog.get_logger("windlass.deliveries")

MESSAGE_LENGTH = 500
DIGEST_LENGTH = 160

# The most telling decision first.
RANKING = (
    Decision.TRIGGERED,
    Decision.REJECTED,
    Decision.SIGNATURE,
    Decision.DUPLICATE,
    Decision.UNCHANGED,
    Decision.TAG,
    Decision.IMAGE,
    Decision.ALERT,
    Decision.UNSUPPORTED,
    Decision.UNREADABLE,
)


@dataclass(frozen=True)
class Receipt:
    """A stored delivery and its lines, in order. A line's `call` is the call as it was accepted."""

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
        delivery.save(force_insert=True)
        for line in lines:
            line.delivery = delivery
        DeliveryLine.objects.bulk_create(lines)
    log.info("delivery", delivery_id=str(delivery.pk), source=delivery.source, sender=delivery.sender, decision=str(decision))
    return Receipt(delivery, lines)


def prune_deliveries() -> int:
    """Delete deliveries by age and count (settings). Return how many were deleted."""
    horizon = timezone.now() - timedelta(days=settings.DELIVERY_RETENTION_DAYS)
    times = Delivery.objects.order_by("-received_at").values_list("received_at", flat=True)
    for newest_surplus in times[settings.DELIVERY_RETENTION_COUNT :][:1]:
        horizon = max(horizon, newest_surplus)
    return delete_in_batches(Delivery.objects.filter(received_at__lte=horizon).order_by("received_at"))


def clean_line(text: str, length: int) -> str:
    return clean_unicode(clean_text(text, length))


def clean_unicode(text: str) -> str:
    """Remove NUL and replace lone surrogates, which no database accepts."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()

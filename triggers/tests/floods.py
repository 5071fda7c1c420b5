"""Floods of what is refused, and what they leave in the database. WINDLASS_FLOOD is the number of messages in each."""

import os
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from triggers.models import AlertGroup, Delivery, DeliveryLine, TriggerCall

FLOOD = int(os.environ.get("WINDLASS_FLOOD", "150"))
NOON = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)


class Clock:
    """The time that `timezone.now` gives: it stands still until it is moved."""

    def __init__(self, monkeypatch, now=NOON):
        self.now = now
        monkeypatch.setattr(timezone, "now", lambda: self.now)

    def move(self, **span):
        self.now += timedelta(**span)


def count_bytes():
    """Return how many rows of calls and deliveries there are, and how many characters their columns have."""
    rows = [values for model in (Delivery, DeliveryLine, TriggerCall, AlertGroup) for values in model.objects.values_list()]
    return len(rows), sum(len(str(value)) for values in rows for value in values)

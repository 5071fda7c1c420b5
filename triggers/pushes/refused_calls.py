"""Calls of a trigger's link that were refused, as deliveries: "our pipeline says that it calls, and nothing happens".

Whoever knows a link's address without its secret can be refused by the thousand. So equal refusals of a minute are one row, and
all are noted in memory. The thread that adds the process's other counts (console.telemetry.totals) stores them every few
seconds. A refused caller costs no query more than one with an unknown link, and a killed process loses the last refusals.
"""

import threading
import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError, IntegrityError
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from clusters.callers import client_address
from triggers.models import Decision, Delivery, Trigger
from triggers.pushes.deliveries import MESSAGE_LENGTH, clean_line, surplus
from triggers.refusals import CallRefused
from triggers.repeats import insert_or_count, make_row_id, start_of_minute

WRONG_SECRET = "The secret is wrong. It may have been rotated since the link was copied: copy it again."  # noqa: S105 - words
ROWS_A_MINUTE = 100  # of one process: what is refused for further reasons or at further triggers is not stored


@dataclass
class Refusals:
    """Equal refusals of a minute. `row` is None once it is stored; `repeats` are not stored yet."""

    key: uuid.UUID
    minute: datetime
    row: Delivery | None
    repeats: int = 0
    last_at: datetime | None = None


class RefusedCalls:
    """The refused calls of this process. Any thread can call its methods."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # never held while anything is waited for
        self._noted: dict[uuid.UUID, Refusals] = {}

    def note(self, request: HttpRequest, trigger: Trigger, refusal: CallRefused) -> None:
        """Note that a call of this trigger was refused. Nothing of the address and of the body is kept, since both can hold a
        secret."""
        now = timezone.now()
        key = make_row_id("refused", trigger.pk, refusal.status, refusal.code, getattr(refusal, "parameter", ""), at=now)
        minute = start_of_minute(now)
        with self._lock:
            if known := self._noted.get(key):
                known.repeats += 1
                known.last_at = now
            elif sum(each.minute == minute for each in self._noted.values()) < ROWS_A_MINUTE:
                self._noted[key] = Refusals(key, minute, make_row(key, request, trigger, refusal, now))

    def store(self) -> None:
        """Write what was noted. What the database refuses is kept for the next time. Raises DatabaseError."""
        with self._lock:
            due = [each for each in self._noted.values() if each.row or each.repeats]
        for each in due:
            try:
                if each.row and insert_or_count(each.row, each.row.received_at):
                    surplus.note_added()
            except IntegrityError:  # the trigger has been deleted meanwhile
                each.repeats = 0
            each.row = None
            with self._lock:
                repeats, each.repeats = each.repeats, 0
            try:
                if repeats:
                    rows = Delivery.objects.filter(pk=each.key)
                    rows.update(repeated=F("repeated") + repeats, repeated_at=each.last_at)
            except DatabaseError:
                with self._lock:
                    each.repeats += repeats
                raise
        minute = start_of_minute(timezone.now())
        with self._lock:
            self._noted = {key: each for key, each in self._noted.items() if each.row or each.repeats or each.minute >= minute}

    def forget(self) -> None:
        """Begin anew, without storing anything."""
        with self._lock:
            self._noted = {}


def make_row(key: uuid.UUID, request: HttpRequest, trigger: Trigger, refusal: CallRefused, now: datetime) -> Delivery:
    return Delivery(
        pk=key,
        received_at=now,
        source=Delivery.Source.TRIGGER,
        trigger_id=trigger.pk,
        decision=Decision.REFUSED,
        event=clean_line(f"{request.method} {refusal.status}", 64),
        message=WRONG_SECRET if refusal.status == 404 else clean_line(describe_refusal(refusal), MESSAGE_LENGTH),
        source_address=client_address(request),
        user_agent=clean_line(request.headers.get("User-Agent", ""), 255),
    )


def describe_refusal(refusal: CallRefused) -> str:
    """Return what the trigger's people are told. It begins with what the caller is not told."""
    return " ".join(filter(None, (refusal.noted, refusal.message)))


refused_calls = RefusedCalls()

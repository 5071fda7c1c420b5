"""Calls of links that were refused, as deliveries: "our pipeline says that it calls, and nothing happens".

Whoever knows a link's address without its secret can be refused by the thousand, from many addresses. So refusals of one
trigger, reason, address and minute are one row, and those of unknown links are one for an address and minute. All are noted in
memory. The thread that adds the process's other counts (console.telemetry.totals) stores them every few seconds. A refused
caller costs no query more than one with an unknown link, and a killed process loses the last refusals.

What exceeds a share of the minute or of the day is counted on one row for the rest.
"""

import threading
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime

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
UNKNOWN = "No trigger or registry has this link. It may have been deleted, or damaged on its way: copy it again."
REST = "Further refused calls, for other reasons or from other addresses. Only their number is kept."
ROWS_A_MINUTE = 100  # of one process: what is refused for further reasons or at further triggers is not stored
SHARE_A_MINUTE = 30  # of these, for one trigger, and for all unknown links together
ROWS_A_DAY = 1000  # in the database, for one trigger, and for all unknown links together


@dataclass
class Refusals:
    """Equal refusals of a minute. `row` is None once it is stored; `repeats` are not stored yet. `stored_as` is the id of the
    row for the rest of the day, if they count there."""

    key: uuid.UUID
    trigger_id: int | None
    minute: datetime
    row: Delivery | None
    repeats: int = 0
    last_at: datetime | None = None
    stored_as: uuid.UUID | None = None


class RefusedCalls:
    """The refused calls of this process. Any thread can call its methods."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # never held while anything is waited for
        self._noted: dict[uuid.UUID, Refusals] = {}
        self._full: dict[int | None, date] = {}  # of each trigger, the last day whose rows are used up

    def note(self, request: HttpRequest, trigger: Trigger | None, refusal: CallRefused) -> None:
        """Note that a call of this trigger was refused, or without one that nothing has the link. Nothing of what the caller
        sent is kept, since all of it can hold a secret."""
        now = timezone.now()
        trigger_id = trigger.pk if trigger else None
        kind = (refusal.status, refusal.code, getattr(refusal, "parameter", "")) if trigger else ()
        key = make_row_id("refused", trigger_id, *kind, client_address(request), at=now)
        with self._lock:
            if self._count(key, now):
                return
            known = [each for each in self._noted.values() if each.minute == start_of_minute(now)]
            if len(known) >= ROWS_A_MINUTE:
                return
            if sum(each.trigger_id == trigger_id for each in known) < SHARE_A_MINUTE:
                row = make_row(key, request, trigger, refusal, now)
            else:
                key = make_row_id("refused", trigger_id, "rest", at=now)
                if self._count(key, now):
                    return
                row = make_rest(key, trigger_id, now)
            self._noted[key] = Refusals(key, trigger_id, start_of_minute(now), row)

    def _count(self, key: uuid.UUID, now: datetime) -> bool:
        """Count a refusal on the one with this key. Return whether there is one."""
        known = self._noted.get(key)
        if known is None:
            return False
        known.repeats += 1
        known.last_at = now
        return True

    def store(self) -> None:
        """Write what was noted. What the database refuses is kept for the next time. Raises DatabaseError."""
        with self._lock:
            due = [each for each in self._noted.values() if each.row or each.repeats]
        for each in due:
            if each.row and self._is_full(each.trigger_id, each.row.received_at):
                day = start_of_day(each.row.received_at)
                each.stored_as = make_row_id("refused", each.trigger_id, "rest of the day", at=day)
                each.row = make_rest(each.stored_as, each.trigger_id, each.row.received_at)
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
                    rows = Delivery.objects.filter(pk=each.stored_as or each.key)
                    rows.update(repeated=F("repeated") + repeats, repeated_at=each.last_at)
            except DatabaseError:
                with self._lock:
                    each.repeats += repeats
                raise
        minute = start_of_minute(timezone.now())
        with self._lock:
            self._noted = {key: each for key, each in self._noted.items() if each.row or each.repeats or each.minute >= minute}

    def _is_full(self, trigger_id: int | None, now: datetime) -> bool:
        """Return whether the rows of the day are used up, for the trigger or for unknown links. Called by one thread."""
        day = start_of_day(now)
        if self._full.get(trigger_id) != day.date():
            rows = Delivery.objects.filter(decision=Decision.REFUSED, trigger=trigger_id, received_at__gte=day).order_by()
            if len(rows.values_list("pk")[:ROWS_A_DAY]) < ROWS_A_DAY:
                return False
            self._full[trigger_id] = day.date()
        return True

    def forget(self) -> None:
        """Begin anew, without storing anything."""
        with self._lock:
            self._noted, self._full = {}, {}


def start_of_day(moment: datetime) -> datetime:
    """In UTC, as the pages count a day."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def make_rest(key: uuid.UUID, trigger_id: int | None, now: datetime) -> Delivery:
    """Return the row for what has none of its own."""
    refused = {"decision": Decision.REFUSED, "source": Delivery.Source.TRIGGER}
    return Delivery(pk=key, received_at=now, trigger_id=trigger_id, message=REST, **refused)


def make_row(key: uuid.UUID, request: HttpRequest, trigger: Trigger | None, refusal: CallRefused, now: datetime) -> Delivery:
    return Delivery(
        pk=key,
        received_at=now,
        source=Delivery.Source.TRIGGER,
        trigger_id=trigger.pk if trigger else None,
        decision=Decision.REFUSED,
        event=clean_line(f"{request.method} {refusal.status}", 64),
        message=describe_refusal(trigger, refusal),
        source_address=client_address(request),
        user_agent=clean_line(request.headers.get("User-Agent", ""), 255),
    )


def describe_refusal(trigger: Trigger | None, refusal: CallRefused) -> str:
    """Return what the trigger's people see. It begins with what the caller is not told."""
    if trigger is None:
        return UNKNOWN
    return (
        WRONG_SECRET
        if refusal.status == 404
        else clean_line(" ".join(filter(None, (refusal.noted, refusal.message))), MESSAGE_LENGTH)
    )


refused_calls = RefusedCalls()

"""Acts that can happen by the thousand: refusals and failed sign-ins. Equal ones are one entry of the audit log with a count.

The first is stored at once. The next ones of the same span are counted in memory, and added every few seconds by the thread
that adds the process's other counts (console.telemetry.totals). A killed process loses the last of them. So the database gets
few writes and few rows, however fast somebody tries.
"""

import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db import DatabaseError
from django.db.models import F
from django.utils import timezone

from clusters.access.audit import record
from clusters.models import AuditEntry

log = structlog.get_logger("windlass.audit")

SPAN_SECONDS = 900.0  # in which equal acts are one entry
ENTRIES_A_SPAN = 30  # of one action and process; what comes from further users or addresses shares one more
OTHERS = "further users or addresses"


@dataclass
class OpenEntry:
    """An entry that still counts. `pk` is None while it is being stored; `repeats` are not stored yet."""

    action: str
    actor: str
    address: str | None
    until: float  # monotonic seconds
    pk: int | None = None
    repeats: int = 0
    last_at: datetime | None = None


class CountedActs:
    """The counted acts of this process. Any thread can call its methods."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[Hashable, OpenEntry] = {}
        self._ended: list[OpenEntry] = []  # with repeats to store

    def count(
        self, user: Any, action: str, *, actor: str = "", address: str | None = None, kind: str = "", **details: Any
    ) -> None:
        """Count an act; the arguments are those of `audit.record`. Acts of another `kind` are not equal. A database that does
        not answer costs the entry, not the request."""
        actor = (user.get_username() if user else actor)[:150]
        entry = self._find_or_open((action, actor, address, kind), action, actor, address)
        if entry is None:
            return
        if entry.actor == OTHERS:
            user, details = None, {}
        try:
            entry.pk = record(user, action, actor=entry.actor, address=entry.address, **details).pk
        except DatabaseError as error:
            log.warning("an act was not recorded", action=action, error=str(error))
            with self._lock:
                self._open = {key: known for key, known in self._open.items() if known is not entry}

    def _find_or_open(self, key: Hashable, action: str, actor: str, address: str | None) -> OpenEntry | None:
        """Count a repetition and return None; or return a new entry, which the caller stores."""
        with self._lock:
            now = time.monotonic()
            self._close(now)
            if key not in self._open and sum(entry.action == action for entry in self._open.values()) >= ENTRIES_A_SPAN:
                key, actor, address = (action, OTHERS), OTHERS, None
            if entry := self._open.get(key):
                entry.repeats += 1
                entry.last_at = timezone.now()
                return None
            entry = self._open[key] = OpenEntry(action, actor, address, now + SPAN_SECONDS)
            return entry

    def _close(self, now: float) -> None:
        for key, entry in list(self._open.items()):
            if entry.until <= now:
                del self._open[key]
                if entry.repeats:
                    self._ended.append(entry)

    def store(self) -> None:
        """Add the repetitions to their entries. If the database fails, keep them and raise DatabaseError."""
        with self._lock:
            self._close(time.monotonic())
            due = [entry for entry in (*self._open.values(), *self._ended) if entry.repeats and entry.pk]
        for entry in due:
            with self._lock:
                repeats, entry.repeats = entry.repeats, 0
            try:
                AuditEntry.objects.filter(pk=entry.pk or 0).update(count=F("count") + repeats, last_at=entry.last_at)
            except DatabaseError:
                with self._lock:
                    entry.repeats += repeats
                raise
            log.info("audit", action=entry.action, actor=entry.actor, address=entry.address, repeated=repeats)
        with self._lock:
            self._ended = [entry for entry in self._ended if entry.repeats and entry.pk]

    def forget(self) -> None:
        """Begin anew, without storing anything."""
        with self._lock:
            self._open, self._ended = {}, []


counted_acts = CountedActs()

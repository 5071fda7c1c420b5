"""The secrets that rotations left: their last use, which says what pipeline still has one, and their end.

A use is noted in memory. The thread that adds the process's other counts (console.telemetry.totals) stores it every few
seconds, so that a caller waits for no query of it.
"""

import threading
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError
from django.db.models import Q
from django.utils import timezone

from triggers.models import OLD_SECRET_FIELDS, Trigger


@dataclass(frozen=True)
class OldSecretUse:
    """`ends_at` tells this old secret from the one that a later rotation leaves."""

    ends_at: datetime | None
    used_at: datetime
    used_from: str | None


class OldSecretUses:
    """The last uses in this process, by trigger. Any thread can call its methods."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # never held while anything is waited for
        self._noted: dict[int, OldSecretUse] = {}

    def note(self, trigger: Trigger, address: str | None) -> None:
        use = OldSecretUse(trigger.old_secret_ends_at, timezone.now(), address)
        with self._lock:
            self._noted[trigger.pk] = use

    def store(self) -> None:
        """Write what was noted. What the database refuses is kept for the next time. Raises DatabaseError."""
        with self._lock:
            due, self._noted = self._noted, {}
        try:
            for trigger_id, use in due.items():
                known = Trigger.objects.filter(pk=trigger_id, old_secret_ends_at=use.ends_at)
                earlier = Q(old_secret_used_at__isnull=True) | Q(old_secret_used_at__lt=use.used_at)
                known.filter(earlier).update(old_secret_used_at=use.used_at, old_secret_used_from=use.used_from)
        except DatabaseError:
            with self._lock:
                self._noted = due | self._noted
            raise

    def forget(self) -> None:
        """Begin anew, without storing anything."""
        with self._lock:
            self._noted = {}


old_secret_uses = OldSecretUses()


def forget_old_secrets() -> int:
    """Delete the old secrets that have ended. Return how many. They have worked no longer since then."""
    ended = Trigger.objects.filter(old_secret_ends_at__lte=timezone.now())
    return ended.update(**dict.fromkeys(OLD_SECRET_FIELDS))

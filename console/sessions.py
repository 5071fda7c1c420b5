"""Sessions of signed-in users. They end some hours after the last use, and some days after the sign-in in any case.

The row's own end (`expire_date`) is the idle limit, so that a look-up finds live sessions alone and a prune finds the others.
A use moves it by one UPDATE, every few minutes at most, without writing what the session holds.
"""

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.db import DatabaseError
from django.utils import timezone

from clusters.batches import delete_in_batches

log = structlog.get_logger("windlass.session")

SIGNED_IN_AT = "signed_in_at"  # session key: Unix time
MOVE_EVERY = timedelta(minutes=5)


class SessionStore(db.SessionStore):
    """Django's sessions in the database, with two limits. Those of the previous version are read, and get both at their next
    use. The name is part of their signature."""

    ends_at: datetime | None = None  # as stored

    def load(self) -> dict[str, Any]:
        found = self._get_session_from_db()  # type: ignore[attr-defined]
        if found is None:
            return {}
        self.ends_at = found.expire_date
        return self.decode(found.session_data)

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        """Return when the session ends if nobody uses it from now on."""
        now = timezone.now()
        signed_in_at = self.get(SIGNED_IN_AT)
        began = datetime.fromtimestamp(signed_in_at, tz=now.tzinfo) if signed_in_at else now
        return min(
            now + timedelta(seconds=settings.SESSION_IDLE_SECONDS), began + timedelta(seconds=settings.SESSION_COOKIE_AGE)
        )

    def note_use(self) -> None:
        """Move the session's end, if it was moved more than MOVE_EVERY ago. A signed-in user's request calls this."""
        if SIGNED_IN_AT not in self:
            self[SIGNED_IN_AT] = timezone.now().timestamp()
        wanted = self.get_expiry_date()
        if self.ends_at is not None and abs(wanted - self.ends_at) >= MOVE_EVERY:
            try:
                Session.objects.filter(session_key=self.session_key).update(expire_date=wanted)
                self.ends_at = wanted
            except DatabaseError as error:  # such as a full disk: pages that only read still work, and the next use tries again
                log.warning("a session's end was not moved", error=str(error))


def prune_sessions() -> int:
    """Delete sessions that have ended. Returns their number."""
    return delete_in_batches(Session.objects.filter(expire_date__lt=timezone.now()).order_by("expire_date"))


def end_sessions(user: Any, keep: str | None = None) -> int:
    """End every session of the user but the one with the key `keep`. Returns their number.

    A session's user is in what it holds, so all live sessions are read: this is for acts that are rare."""
    store = SessionStore()
    live = Session.objects.filter(expire_date__gte=timezone.now()).exclude(session_key=keep or "")
    found = [row.session_key for row in live.iterator() if store.decode(row.session_data).get(SESSION_KEY) == str(user.pk)]
    Session.objects.filter(session_key__in=found).delete()
    return len(found)

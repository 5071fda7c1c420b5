"""Sessions of signed-in users. They end some hours after the last use, and some days after the sign-in in any case.

A sign-in can set a shorter time for its session (MAXIMUM_SECONDS). A session without a user, such as that of a sign-in that has
not ended, is short, and there are not many: strangers can begin them.

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
from django.db.models import Exists, OuterRef
from django.utils import timezone

from clusters.batches import SurplusPruner, delete_in_batches
from console.models import UserSession

log = structlog.get_logger("windlass.session")

SIGNED_IN_AT = "signed_in_at"  # session key: Unix time
MAXIMUM_SECONDS = "maximum_seconds"  # session key: an integer; the session ends so long after the sign-in, if not before
MOVE_EVERY = timedelta(minutes=5)
STRANGER_SECONDS = 1800  # for which a session without a user lasts after it was stored


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
        if SESSION_KEY not in self:
            return now + timedelta(seconds=STRANGER_SECONDS)
        signed_in_at = self.get(SIGNED_IN_AT)
        began = datetime.fromtimestamp(signed_in_at, tz=now.tzinfo) if signed_in_at else now
        longest = min(settings.SESSION_COOKIE_AGE, self.get(MAXIMUM_SECONDS) or settings.SESSION_COOKIE_AGE)
        return min(now + timedelta(seconds=settings.SESSION_IDLE_SECONDS), began + timedelta(seconds=longest))

    def create(self) -> None:
        super().create()
        if SESSION_KEY not in self:
            surplus_pruner.note_added()

    def cycle_key(self) -> None:
        """Give the session a new key. Its entry in the list follows."""
        former = self.session_key
        super().cycle_key()
        if former and SESSION_KEY in self:
            UserSession.objects.filter(session_key=former).update(session_key=self.session_key)

    def flush(self) -> None:
        former = self.session_key
        super().flush()
        if former:
            UserSession.objects.filter(session_key=former).delete()

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
    """Delete sessions that have ended, entries of the list without a session, and strangers' sessions beyond their number.
    Returns the number of sessions."""
    deleted = delete_in_batches(Session.objects.filter(expire_date__lt=timezone.now()).order_by("expire_date"))
    # A sign-in stores both, maybe at this moment.
    before = timezone.now() - MOVE_EVERY
    existing = Session.objects.filter(session_key=OuterRef("session_key"))
    delete_in_batches(UserSession.objects.filter(~Exists(existing), used_at__lt=before).order_by("pk"))
    return deleted + prune_strangers_sessions()


def prune_strangers_sessions() -> int:
    """Delete sessions without a user beyond STRANGERS_SESSIONS, those that end first. Returns their number."""
    listed = UserSession.objects.filter(session_key=OuterRef("session_key"))
    soon = timezone.now() + timedelta(seconds=STRANGER_SECONDS)
    rows = Session.objects.filter(~Exists(listed), expire_date__lte=soon).order_by("-expire_date")
    edge = rows.values_list("expire_date", flat=True)[settings.STRANGERS_SESSIONS : settings.STRANGERS_SESSIONS + 1].first()
    return delete_in_batches(rows.filter(expire_date__lte=edge).order_by("expire_date")) if edge else 0


surplus_pruner = SurplusPruner("STRANGERS_SESSIONS", prune_strangers_sessions)

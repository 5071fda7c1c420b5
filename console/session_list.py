"""The list of sessions: where a user is signed in, and the ends of sessions.

A session that is ended here is deleted, so the next request with its cookie is a stranger's. A request that is under way cannot
store it again: Django only updates what exists.
"""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import DatabaseError, transaction
from django.http import HttpRequest
from django.utils import timezone

from clusters.callers import client_address
from console.models import UserSession
from console.sessions import MOVE_EVERY, SIGNED_IN_AT, SessionStore

log = structlog.get_logger("windlass.session")

SHOWN = 100  # sessions of a user, the ones used last
KEYS = 10_000  # sessions of which a process remembers when it noted their last use


@dataclass(frozen=True)
class ListedSession:
    """A session that has not ended."""

    row: UserSession
    ends_at: datetime
    is_own: bool  # of the request that asks


class NotedUses:
    """When this process noted the uses of sessions. Any thread can call its methods."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: dict[str, float] = {}  # monotonic seconds, by key

    def is_due(self, key: str) -> bool:
        """Return whether a use of the session is to be noted, and take it for noted."""
        with self._lock:
            now = time.monotonic()
            if now - self._noted.get(key, -MOVE_EVERY.total_seconds()) < MOVE_EVERY.total_seconds():
                return False
            if len(self._noted) >= KEYS:
                self._noted.clear()
            self._noted[key] = now
            return True

    def forget(self) -> None:
        with self._lock:
            self._noted.clear()


noted_uses = NotedUses()


def list_session(request: HttpRequest, user: User) -> None:
    """List the request's session as one of `user`, who has just signed in or whose session has a new key."""
    session: Any = request.session
    if session.session_key is None:  # nothing was stored yet
        session.create()
    noted_uses.is_due(session.session_key)
    now = timezone.now()
    began = datetime.fromtimestamp(session[SIGNED_IN_AT], tz=UTC) if SIGNED_IN_AT in session else now
    UserSession.objects.update_or_create(
        session_key=session.session_key, defaults={"user": user, "created_at": began, "used_at": now, **_describe(request)}
    )


def note_use(request: HttpRequest, user: User) -> None:
    """Note where the session was used, every MOVE_EVERY at most in this process. A session of the version before has no entry
    yet and gets one."""
    key = request.session.session_key
    if key is None or not noted_uses.is_due(key):
        return
    try:
        known = UserSession.objects.filter(session_key=key).update(used_at=timezone.now(), **_describe(request))
        if not known and Session.objects.filter(session_key=key).exists():
            list_session(request, user)
    except DatabaseError as error:  # such as a full disk: pages that only read still work
        log.warning("the use of a session was not noted", error=str(error))


def find_sessions(user: User, own_key: str | None = None) -> list[ListedSession]:
    """Return the user's sessions that have not ended, at most SHOWN: the one with `own_key`, then the one used last."""
    rows = list(UserSession.objects.filter(user=user).order_by("-used_at", "-pk")[: SHOWN * 2])
    ends = dict(_find_live(rows).values_list("session_key", "expire_date"))
    found = [ListedSession(row, ends[row.session_key], row.session_key == own_key) for row in rows if row.session_key in ends]
    return sorted(found, key=lambda session: not session.is_own)[:SHOWN]


def count_sessions(user: User) -> int:
    keys = UserSession.objects.filter(user=user).values("session_key")
    return Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now()).count()


def end_session(row: UserSession) -> None:
    """End one session at once."""
    with transaction.atomic():
        Session.objects.filter(session_key=row.session_key).delete()
        row.delete()


def end_sessions(user: User, keep: str | None = None) -> int:
    """End all sessions of the user at once, but the one whose key is `keep`. Returns how many had not ended by themselves.

    API tokens are no sessions and stay."""
    with transaction.atomic():
        rows = UserSession.objects.filter(user=user).exclude(session_key=keep or "")
        keys = [*rows.values_list("session_key", flat=True), *_find_unlisted(user, keep)]
        live = Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
        ended = live.count()
        Session.objects.filter(session_key__in=keys).delete()
        rows.delete()
    return ended


def _find_live(rows: Iterable[UserSession]) -> Any:
    return Session.objects.filter(session_key__in=[row.session_key for row in rows], expire_date__gt=timezone.now())


def _find_unlisted(user: User, keep: str | None) -> list[str]:
    """Return the keys of the user's sessions that the list does not know: those of the version before that were not used since.
    They are few, and none after a day."""
    listed = UserSession.objects.values("session_key")
    sessions = Session.objects.filter(expire_date__gt=timezone.now()).exclude(session_key__in=listed)
    decode = SessionStore().decode
    return [
        session.session_key
        for session in sessions.iterator()
        if session.session_key != keep and decode(session.session_data).get(SESSION_KEY) == str(user.pk)
    ]


def _describe(request: HttpRequest) -> dict[str, Any]:
    agent = "".join(letter for letter in request.META.get("HTTP_USER_AGENT", "") if letter.isprintable())
    return {"address": client_address(request), "user_agent": agent[:255]}

"""Limits failed sign-ins: passwords, and whatever else is guessed when somebody signs in. console.sign_in_locks has the limits.

A view that checks a secret of its own calls `take_turn` around the check, and `note_failure` if it is wrong. A sign-in that
succeeds is noted by Django's signal. `check_throttle` alone costs one query and no place.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from axes.backends import AxesStandaloneBackend
from axes.handlers.base import AbstractAxesHandler, AxesBaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from clusters.access.audit import name_system_user, record
from clusters.access.counted_acts import counted_acts
from clusters.callers import client_address
from clusters.waits import Line
from console import sign_in_locks
from console.sign_in_locks import ANY_NAME, LOCK_SPAN, end_of, find_network, normalize_name
from triggers.models import News
from triggers.notifications.outbox import record_news

line = Line(settings.SIGN_INS)


class SignInLocked(Exception):
    """Too many sign-ins have failed. The message says so, and what to do."""

    def __init__(self, lock: AccessAttempt) -> None:
        self.until = end_of(lock)
        whose = "from your address" if lock.username == ANY_NAME else "with this user name from your address"
        super().__init__(f"Too many sign-ins {whose} have failed.")

    @property
    def seconds(self) -> int:
        """Until the lock ends, at least 1."""
        return max(1, math.ceil((self.until - timezone.now()).total_seconds()))


def check_throttle(request: HttpRequest, name: str) -> None:
    """Raise SignInLocked if `name` may not sign in from the request's address now. `name`: the user name, as it was typed;
    empty if it is not known. The refusal is counted in the audit log."""
    if locked := find_refusal(request, name):
        counted_acts.count(None, "sign_in.lock", actor=normalize_name(name), address=client_address(request))
        raise locked


def find_refusal(request: HttpRequest, name: str) -> SignInLocked | None:
    """Return what `check_throttle` would raise, or None, and count nothing."""
    lock = sign_in_locks.find_lock(find_caller(request), normalize_name(name))
    return SignInLocked(lock) if lock else None


@contextmanager
def take_turn(request: HttpRequest, name: str) -> Iterator[None]:
    """Check the throttle, wait for the turn of the request's address, and check again: in this context a secret can be checked.
    One is checked at a time, and one of each address is in the line, so guesses that come at once do not pass the limit
    together. Raises SignInLocked, or NoPlace at once."""
    check_throttle(request, name)
    with line.turn(find_caller(request)):
        check_throttle(request, name)
        yield


def note_failure(request: HttpRequest, name: str) -> None:
    """Count a wrong password or code. The lock that may begin with it is recorded in the audit log."""
    name = normalize_name(name)
    if lock := sign_in_locks.add_failure(find_caller(request), name):
        counted_acts.count(None, "sign_in.lock", actor=name, address=client_address(request))
        report_lock(lock)


def report_lock(lock: AccessAttempt) -> None:
    """Record the lock as news. They name a user only if there is one: what a stranger types is not sent to people."""
    known = User.objects.filter(username=lock.username).exists()
    whose = "every user" if lock.username == ANY_NAME else f"the user {lock.username}" if known else "an unknown user name"
    minutes = LOCK_SPAN.seconds // 60
    sentence = (
        f"Sign-in from {lock.ip_address} is locked for {whose} for {minutes} min: {lock.failures_since_start} sign-ins failed."
    )
    record_news(News.SIGN_IN_LOCK, subject=lock.ip_address, facts={"sentence": sentence})


def note_success(request: HttpRequest, name: str) -> None:
    """Forget the failures of this name at this address. Call it when the whole sign-in has succeeded, second factor included:
    otherwise whoever knows a password could guess codes without end."""
    sign_in_locks.forget_failures(find_caller(request), normalize_name(name))


def answer_locked(request: HttpRequest, locked: SignInLocked) -> HttpResponse:
    """Answer 429 with a page that says until when, for views other than the sign-in form."""
    return add_end(render(request, "console/account/locked.html", {"locked": locked}, status=429), locked)


def add_end(response: HttpResponse, locked: SignInLocked) -> HttpResponse:
    response["Retry-After"] = str(locked.seconds)
    return response


def find_caller(request: HttpRequest) -> str:
    """Return the caller's address as it counts."""
    return find_network(client_address(request))


class ThrottleBackend(AxesStandaloneBackend):
    """Lets nobody sign in who is locked out, whichever view asks. What has no request, such as a command, has no address."""

    def authenticate(self, request: HttpRequest | None, username: str | None = None, **credentials: Any) -> None:
        if request is not None:
            super().authenticate(request, username, **credentials)


class FailureHandler(AxesBaseHandler, AbstractAxesHandler):
    """What axes is told by Django's signals and by its own commands.

    The handler of axes itself has one span for all limits, counts a failure by user agent too, and stores what was sent."""

    def is_allowed(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        name = normalize_name((credentials or {}).get("username") or "")
        return sign_in_locks.find_lock(find_caller(request), name) is None

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Return the failures that made a lock, or 0."""
        name = normalize_name((credentials or {}).get("username") or "")
        lock = sign_in_locks.find_lock(find_caller(request), name)
        return lock.failures_since_start if lock else 0

    def user_login_failed(self, sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
        if request is not None and not getattr(request, "axes_locked_out", False):
            note_failure(request, credentials.get("username") or "")

    def user_logged_in(self, sender: Any, request: HttpRequest, user: Any, **_: Any) -> None:
        note_success(request, user.get_username())

    def user_logged_out(self, sender: Any, request: HttpRequest, user: Any, **_: Any) -> None:
        """Nothing depends on it."""

    def post_save_access_attempt(self, instance: AccessAttempt, **_: Any) -> None:
        """Nothing depends on it."""

    def post_delete_access_attempt(self, instance: AccessAttempt, **_: Any) -> None:
        """Nothing depends on it."""

    def reset_attempts(
        self, *, ip_address: str | None = None, username: str | None = None, ip_or_username: bool = False
    ) -> int:
        """End locks, for `manage.py axes_reset` and its kind."""
        if ip_or_username and ip_address and username:
            ended = sign_in_locks.end_locks(address=ip_address) + sign_in_locks.end_locks(name=username)
        else:
            ended = sign_in_locks.end_locks(ip_address, username)
        chosen = {"name": username, "locked_address": ip_address}
        record(
            None,
            "sign_in.unlock",
            actor="manage.py axes_reset",
            system_user=name_system_user(),
            **{key: value for key, value in chosen.items() if value},
        )
        return ended

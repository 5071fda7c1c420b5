"""Failed sign-ins, and the locks that follow from too many of them.

Both are rows of django-axes: an AccessFailureLog is one failure, an AccessAttempt one lock. So `manage.py axes_list_attempts`
lists the locks, and `axes_reset` and its kind end them (console.pages.account.throttle). A lock is for a name at an address, or
for a whole address; never for a name alone, since then anybody could lock out anybody. Of IPv6 addresses the /64 counts: one
customer has all of it.

The number of failures that are kept is bounded (SIGN_IN_FAILURES): beyond it the oldest are deleted. Each one cost a check of a
password, and a process makes a few of those in a second, so the failures of the last quarter of an hour are there.
"""

import unicodedata
from datetime import datetime, timedelta
from ipaddress import IPv6Network, ip_address

from axes.models import AccessAttempt, AccessFailureLog
from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from clusters.batches import SurplusPruner, delete_in_batches

FAILURES_OF_NAME, NAME_SPAN = 5, timedelta(minutes=15)  # of one name at one address
FAILURES_OF_ADDRESS, ADDRESS_SPAN = 50, timedelta(hours=1)  # of one address, with whatever names
LOCK_SPAN = timedelta(minutes=15)
ANY_NAME = ""  # the name of a lock of a whole address
NO_ADDRESS = "0.0.0.0"  # noqa: S104 - stands for callers whose address is not known
SHOWN = 100  # locks


def find_network(address: str | None) -> str:
    """Return what of a normalised address counts: IPv4 itself, of IPv6 the /64, and NO_ADDRESS for None."""
    if not address:
        return NO_ADDRESS
    found = ip_address(address)
    return str(IPv6Network((int(found), 64), strict=False).network_address) if found.version == 6 else str(found)


def normalize_name(name: str) -> str:
    """Write a user name as the sign-in form does, so that no way of writing it is counted apart."""
    return unicodedata.normalize("NFKC", name).replace("\0", "").strip()[:150]


def find_lock(network: str, name: str) -> AccessAttempt | None:
    """Return the lock that keeps `name` from signing in from the network, or None. Takes one query."""
    return _running_locks().filter(ip_address=network, username__in={name, ANY_NAME}).first()


def end_of(lock: AccessAttempt) -> datetime:
    ends_at: datetime = lock.attempt_time + LOCK_SPAN
    return ends_at


def add_failure(network: str, name: str) -> AccessAttempt | None:
    """Store one failure. Returns the lock that begins with it, or None. A failure with an empty name, since it is not known who
    it was, counts for the address alone."""
    now = timezone.now()
    with transaction.atomic():
        AccessFailureLog.objects.create(ip_address=network, username=name)
        failures = AccessFailureLog.objects.filter(ip_address=network, attempt_time__gt=now - ADDRESS_SPAN)
        of_name = Q(username=name, attempt_time__gt=now - NAME_SPAN)
        counts = failures.aggregate(all_names=Count("pk"), this_name=Count("pk", filter=of_name))
        surplus_pruner.note_added()
        if counts["all_names"] >= FAILURES_OF_ADDRESS:
            return _lock(network, ANY_NAME, counts["all_names"], now)
        if name and counts["this_name"] >= FAILURES_OF_NAME:
            return _lock(network, name, counts["this_name"], now)
    return None


def forget_failures(network: str, name: str) -> None:
    """Delete the failures and the lock of the name at the network: its user has signed in from there."""
    AccessFailureLog.objects.filter(ip_address=network, username=name).delete()
    AccessAttempt.objects.filter(ip_address=network, username=name).delete()


def list_locks() -> list[AccessAttempt]:
    """Return the locks that have not ended, at most SHOWN, the newest first."""
    return list(_running_locks()[:SHOWN])


def end_lock(lock: AccessAttempt) -> None:
    """End a lock and forget its failures. With the lock of a whole address all of that address end."""
    end_locks(address=lock.ip_address, name=lock.username or None)


def end_locks(address: str | None = None, name: str | None = None) -> int:
    """End the locks, and forget the failures, of the address, of the name, or of both together; of all if neither is given.
    Returns the number of failures and locks."""
    chosen = {} if name is None else {"username": normalize_name(name)}
    if address is not None:
        chosen["ip_address"] = find_network(address)
    with transaction.atomic():
        failures, _ = AccessFailureLog.objects.filter(**chosen).delete()
        locks, _ = AccessAttempt.objects.filter(**chosen).delete()
    return failures + locks


def prune_failures() -> int:
    """Delete failures and locks that count no more, and the oldest failures beyond SIGN_IN_FAILURES. Returns the number of
    failures."""
    now = timezone.now()
    delete_in_batches(AccessAttempt.objects.filter(attempt_time__lte=now - LOCK_SPAN).order_by("pk"))
    failures = AccessFailureLog.objects.order_by("-pk")
    deleted = delete_in_batches(failures.filter(attempt_time__lte=now - ADDRESS_SPAN).order_by("pk"))
    edge = failures.values_list("pk", flat=True)[settings.SIGN_IN_FAILURES : settings.SIGN_IN_FAILURES + 1].first()
    return deleted + (delete_in_batches(failures.filter(pk__lte=edge).order_by("pk")) if edge else 0)


def _running_locks() -> QuerySet[AccessAttempt]:
    return AccessAttempt.objects.filter(attempt_time__gt=timezone.now() - LOCK_SPAN).order_by("-attempt_time", "-pk")


def _lock(network: str, name: str, failures: int, now: datetime) -> AccessAttempt:
    lock, _ = AccessAttempt.objects.update_or_create(
        ip_address=network, username=name, user_agent="", defaults={"failures_since_start": failures, "attempt_time": now}
    )
    return lock


surplus_pruner = SurplusPruner("SIGN_IN_FAILURES", prune_failures)

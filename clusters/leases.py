"""Leases of work that only one of all processes should do at a time. This module is the only writer of `Lease`.

Times are the database's own (`Now()`), so hosts whose clocks differ do no harm. If the database's clock jumps ahead by more
than a lease, another process can take the lease while its holder is alive. The holder notices at its next extension; until
then both do the work. Work done under a lease must tolerate that.
"""

import os
import socket
import uuid
from collections.abc import Collection
from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now

from clusters.models import Lease

LONGEST_LEASE = timedelta(hours=1)  # a lease that ends later was given before the clock was set back


def make_lease_owner() -> str:
    """Return a name for the calling process or thread that no other one has, now or later."""
    return f"{socket.gethostname()[:24]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def claim_leases(names: Collection[str], owner: str, seconds: float) -> set[str]:
    """Claim the leases of those names that nobody holds, for `seconds` (at most LONGEST_LEASE).

    Returns the names of all leases that `owner` holds afterwards, including names not given. Raises DatabaseError.
    """
    is_held = Q(expires_at__gt=Now(), expires_at__lte=Now() + LONGEST_LEASE)
    missing = set(names) - set(Lease.objects.filter(is_held).values_list("name", flat=True))
    if missing:
        Lease.objects.filter(~is_held, name__in=missing).delete()
        until = Now() + timedelta(seconds=seconds)
        # When several processes find a lease free, the first one's row stays.
        Lease.objects.bulk_create(
            [Lease(name=name, owner=owner, expires_at=until) for name in sorted(missing)], ignore_conflicts=True
        )
    return set(Lease.objects.filter(owner=owner).values_list("name", flat=True))


def extend_leases(owner: str, seconds: float) -> None:
    """Extend all leases of `owner`, including expired ones that nobody took. Raises DatabaseError."""
    Lease.objects.filter(owner=owner).update(expires_at=Now() + timedelta(seconds=seconds))


def release_leases(owner: str, names: Collection[str] | None = None) -> None:
    """Release the leases of those names, or all of `owner`'s. Others can claim them at once. Raises DatabaseError."""
    held = Lease.objects.filter(owner=owner)
    (held if names is None else held.filter(name__in=names)).delete()

"""What only one process of all should do at a time: rows of `Lease`, claimed, extended and let go. The only writer of them.

Times are the database's own (`Now()`), on whatever host a process runs, so clocks of hosts that differ do no harm. When the
database's clock jumps ahead by more than a lease, another may take it although the holder lives: the holder finds out when it
extends next, and until then two do the same. What is done under a lease must bear that.
"""

import os
import socket
import uuid
from collections.abc import Collection
from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now

from clusters.models import Lease

LONGEST_LEASE = timedelta(hours=1)  # one that ends later was given by a clock that has been set back since


def make_owner() -> str:
    """A name for who asks, that no other process and no later one has."""
    return f"{socket.gethostname()[:24]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def claim_leases(names: Collection[str], owner: str, seconds: float) -> set[str]:
    """Take those of the names that nobody holds, for `seconds` (at most LONGEST_LEASE).

    Returns all that `owner` holds by now, also of other names. Raises DatabaseError.
    """
    is_held = Q(expires_at__gt=Now(), expires_at__lte=Now() + LONGEST_LEASE)
    missing = set(names) - set(Lease.objects.filter(is_held).values_list("name", flat=True))
    if missing:
        Lease.objects.filter(~is_held, name__in=missing).delete()
        until = Now() + timedelta(seconds=seconds)
        # Of several that find a lease free the first one's row stays.
        Lease.objects.bulk_create(
            [Lease(name=name, owner=owner, expires_at=until) for name in sorted(missing)], ignore_conflicts=True
        )
    return set(Lease.objects.filter(owner=owner).values_list("name", flat=True))


def extend_leases(owner: str, seconds: float) -> None:
    """All that `owner` still has, also when their time ran out and nobody took them. Raises DatabaseError."""
    Lease.objects.filter(owner=owner).update(expires_at=Now() + timedelta(seconds=seconds))


def release_leases(owner: str, names: Collection[str] | None = None) -> None:
    """Let them go (all, without `names`): another may take them at once. Raises DatabaseError."""
    held = Lease.objects.filter(owner=owner)
    (held if names is None else held.filter(name__in=names)).delete()

"""A worker's hold on a running call. A worker that lost it must stop.

The times of leases are the database's own, so that hosts whose clocks differ do no harm.
"""

import contextvars
import threading
import time
import uuid
from datetime import timedelta
from types import TracebackType
from typing import Self

import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from clusters.engine.errors import Cancelled, HandOver, TimedOut
from clusters.waits import release_connection
from triggers.calls.cancel import read_cancellation
from triggers.models import CallState, TriggerCall
from triggers.run.stopping import stopping

log = structlog.get_logger("windlass.runner")

WAITS_FOR_ENGINE = "Waiting for the engine until"  # in the message of a begun call whose engine is lost
LEASE_BEATS = 4  # extensions in the time that a lease holds
CANCEL_BEAT_SECONDS = 1.0  # between two checks whether the call was cancelled
OUTWAIT_BEAT_SECONDS = 0.1


class LeaseLost(Exception):
    """Another worker has taken the call over, or the call has ended. Stop, and write nothing more about it."""


def lease_seconds() -> float:
    """Return how long a lease holds without being extended.

    A worker that takes a call over from one that seems lost first waits for the rest of CALL_LEASE_SECONDS. By then the other
    worker has noticed, if it is alive after all because the database's clock jumped.
    """
    return settings.CALL_LEASE_SECONDS * 2 / 3


def lease_end() -> Combinable:
    return Now() + timedelta(seconds=lease_seconds())


def is_held() -> Q:
    """Return the condition for a call whose lease holds. A lease that ends later than any can was given before a clock was set
    back, and does not hold."""
    longest = Now() + timedelta(seconds=2 * settings.CALL_LEASE_SECONDS)
    return Q(lease_expires_at__gt=Now(), lease_expires_at__lte=longest)


def extend_lease(call_id: uuid.UUID, owner: str) -> None:
    """Raises LeaseLost."""
    kept = TriggerCall.objects.filter(pk=call_id, state=CallState.RUNNING, lease_owner=owner)
    if not kept.update(lease_expires_at=lease_end()):
        raise LeaseLost


class CallLease:
    """A thread that extends the lease of a claimed call while the call runs; `check` raises when the work must stop."""

    def __init__(self, call: TriggerCall, owner: str) -> None:
        self._call_id, self._owner = call.pk, owner
        # From this worker's own time: with `started_at`, a clock that jumped would end a call halfway.
        self._deadline = time.monotonic() + settings.CALL_LIMIT_SECONDS
        self._held_until = time.monotonic() + lease_seconds()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=contextvars.copy_context().run, args=(self._keep,), name=f"lease-{call.pk}", daemon=True
        )
        self.cancelled_by = call.cancelled_by if call.cancel_requested_at else None
        self._looked_at = time.monotonic()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end()

    def end(self) -> None:
        """Stop extending the lease."""
        self._stop.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._stop.wait(lease_seconds() / LEASE_BEATS):
            started = time.monotonic()
            try:
                extend_lease(self._call_id, self._owner)
            except LeaseLost:
                self._held_until = 0.0
                break
            except DatabaseError as error:  # retried at the next beat; check() stops the work when the lease is over
                log.warning("the lease could not be extended", error=str(error))
            except Exception:
                log.exception("the lease could not be extended")
            else:
                self._held_until = started + lease_seconds()
            connection.close()  # the process has few, which its threads share

    def outwait_predecessor(self) -> None:
        """Wait until a predecessor that was taken for lost has noticed, if it is alive. Return early when this worker is being
        stopped or loses the lease."""
        until = time.monotonic() + settings.CALL_LEASE_SECONDS - lease_seconds()
        while (left := min(until, self._held_until) - time.monotonic()) > 0 and not stopping.is_over:
            time.sleep(min(left, OUTWAIT_BEAT_SECONDS))

    def check(self) -> None:
        """Raise LeaseLost if another worker may be at the call by now, Cancelled if somebody cancelled the call, TimedOut past
        the call's limit, and HandOver if this process is being stopped and its grace period is over."""
        if time.monotonic() >= self._held_until:
            raise LeaseLost
        self._look_for_cancellation()
        if interruption := self.find_interruption():
            raise interruption
        if stopping.is_over:
            raise HandOver

    def find_interruption(self) -> Cancelled | None:
        """Return why the call has to be rolled back, as far as is known here; None if it may continue."""
        if self.cancelled_by is not None:
            return Cancelled(f"Cancelled by {self.cancelled_by}.")
        if time.monotonic() >= self._deadline:
            return TimedOut(f"Stopped after {settings.CALL_LIMIT_SECONDS} s, the time limit of a call.")
        return None

    def _look_for_cancellation(self) -> None:
        if self.cancelled_by is not None or time.monotonic() - self._looked_at < CANCEL_BEAT_SECONDS:
            return
        self._looked_at = time.monotonic()
        try:
            self.cancelled_by = read_cancellation(self._call_id)
        except DatabaseError as error:  # retried at the next beat
            log.warning("could not read whether the call is cancelled", error=str(error))
            connection.close()
        release_connection()

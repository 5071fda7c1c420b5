"""Callers that wait for the end of a call (`wait=`). They sleep on an event and hold no database connection; one thread of the
process looks for all of them together.

The places are shared fairly: when all are taken, a caller of a trigger that has few of them takes the place of the one who has
waited longest at the trigger that has most.
"""

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from django.conf import settings
from django.db import DatabaseError, connection

from triggers.models import TERMINAL_STATES, TriggerCall

log = structlog.get_logger("windlass.hook")

POLL_SECONDS = 0.1
# What console.server.door puts into a request's environment, an OnDisconnect. Other servers do not.
ON_DISCONNECT = "windlass.on_disconnect"

OnDisconnect = Callable[[Callable[[], None]], None]  # takes what to call when the client has left


class TooManyWaiters(Exception):
    """This process already holds as many waiting callers as it has threads for, or needs the place for another trigger."""


@dataclass(eq=False)
class Waiter:
    """`share` is the trigger's id; None for a call without one."""

    call_id: uuid.UUID
    share: int | None
    woken: threading.Event = field(default_factory=threading.Event)
    is_displaced: bool = False


class CallWaiters:
    """The waiting callers of this process, at most `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()  # never held while anything is waited for
        self._waiting: dict[uuid.UUID, list[Waiter]] = {}
        self._shares: dict[int | None, dict[Waiter, None]] = {}  # of each, the one who has waited longest is first
        self._poller: threading.Thread | None = None
        self.is_stopping = False

    def stop(self) -> None:
        """Release every waiting caller, and hold no others: the process is being stopped."""
        with self._lock:
            self.is_stopping = True
            for waiting in self._waiting.values():
                for waiter in waiting:
                    waiter.woken.set()

    def wait_for_end(
        self,
        call_id: uuid.UUID,
        seconds: float,
        share: int | None = None,
        on_disconnect: OnDisconnect | None = None,
        on_loss: Callable[[], None] = lambda: None,
    ) -> None:
        """Return when the call has ended, after `seconds`, when the client has left, or when the process is being stopped.

        `on_loss` is called, in the thread of `on_disconnect`, when the client leaves before there is an answer for it. Raises
        TooManyWaiters, also later if the place is needed for another share.
        """
        waiter = self._add(Waiter(call_id, share))

        def leave() -> None:
            if not waiter.woken.is_set():  # else the answer was sent, or is on its way
                on_loss()
                waiter.woken.set()

        try:
            if not connection.in_atomic_block:
                connection.close()
            if on_disconnect:
                on_disconnect(leave)
            if not waiter.woken.wait(seconds):
                waiter.woken.set()
        finally:
            self._remove(waiter)
        if waiter.is_displaced:
            raise TooManyWaiters

    def _add(self, waiter: Waiter) -> Waiter:
        with self._lock:
            if sum(len(share) for share in self._shares.values()) >= self._limit:
                self._displace_one_for(waiter)
            self._waiting.setdefault(waiter.call_id, []).append(waiter)
            self._shares.setdefault(waiter.share, {})[waiter] = None
            if self.is_stopping:
                waiter.woken.set()
            if self._poller is None:
                self._poller = threading.Thread(target=self._poll, name="call-waiters", daemon=True)
                self._poller.start()
        return waiter

    def _displace_one_for(self, newcomer: Waiter) -> None:
        """Wake the one who has waited longest in the largest share. Raises TooManyWaiters if the newcomer's is as large."""
        largest = max(self._shares.values(), key=len, default={})
        if len(largest) <= len(self._shares.get(newcomer.share, {})) + 1:
            raise TooManyWaiters
        displaced = next(iter(largest))
        displaced.is_displaced = True
        displaced.woken.set()
        del largest[displaced]

    def _remove(self, waiter: Waiter) -> None:
        with self._lock:
            waiting = self._waiting[waiter.call_id]
            waiting.remove(waiter)
            if not waiting:
                del self._waiting[waiter.call_id]
            share = self._shares.get(waiter.share, {})
            share.pop(waiter, None)
            if not share:
                self._shares.pop(waiter.share, None)

    def _poll(self) -> None:
        try:
            while call_ids := self._list_awaited():
                try:
                    self._set_ended(call_ids)
                except DatabaseError:  # the database is away for a moment: the callers keep waiting
                    connection.close()
                except Exception:
                    log.exception("the ends of calls cannot be read")
                    connection.close()
                time.sleep(POLL_SECONDS)
        finally:
            connection.close()

    def _list_awaited(self) -> list[uuid.UUID]:
        """Return the calls that callers wait for. Without any, the polling thread ends."""
        with self._lock:
            if not self._waiting:
                self._poller = None
            return list(self._waiting)

    def _set_ended(self, call_ids: list[uuid.UUID]) -> None:
        ended = TriggerCall.objects.filter(pk__in=call_ids, state__in=TERMINAL_STATES).values_list("pk", flat=True)
        for call_id in list(ended):
            with self._lock:
                for waiter in self._waiting.get(call_id, []):
                    waiter.woken.set()


waiters = CallWaiters(settings.HOOK_WAITERS)

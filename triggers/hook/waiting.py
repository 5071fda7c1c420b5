"""Callers that wait for the end of a call (`wait=`). They sleep on an event and hold no database connection; one thread of the
process looks for all of them together."""

import threading
import time
import uuid

from django.conf import settings
from django.db import DatabaseError, connection

from triggers.models import TERMINAL_STATES, TriggerCall

POLL_SECONDS = 0.1


class TooManyWaiters(Exception):
    """This process already holds as many waiting callers as it has threads for."""


class CallWaiters:
    """The waiting callers of this process, at most `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._waiting: dict[uuid.UUID, list[threading.Event]] = {}
        self._poller: threading.Thread | None = None
        self.is_stopping = False

    def stop(self) -> None:
        """Release every waiting caller, and hold no others: the process is being stopped."""
        with self._lock:
            self.is_stopping = True
            for events in self._waiting.values():
                for ended in events:
                    ended.set()

    def wait_for_end(self, call_id: uuid.UUID, seconds: float) -> None:
        """Return when the call has ended, after `seconds`, or when the process is being stopped. Raises TooManyWaiters."""
        ended = self._add(call_id)
        try:
            if not connection.in_atomic_block:
                connection.close()
            ended.wait(seconds)
        finally:
            self._remove(call_id, ended)

    def _add(self, call_id: uuid.UUID) -> threading.Event:
        ended = threading.Event()
        with self._lock:
            if sum(len(events) for events in self._waiting.values()) >= self._limit:
                raise TooManyWaiters
            self._waiting.setdefault(call_id, []).append(ended)
            if self.is_stopping:
                ended.set()
            if self._poller is None:
                self._poller = threading.Thread(target=self._poll, name="call-waiters", daemon=True)
                self._poller.start()
        return ended

    def _remove(self, call_id: uuid.UUID, ended: threading.Event) -> None:
        with self._lock:
            events = self._waiting[call_id]
            events.remove(ended)
            if not events:
                del self._waiting[call_id]

    def _poll(self) -> None:
        try:
            while call_ids := self._list_awaited():
                try:
                    self._set_ended(call_ids)
                except DatabaseError:  # the database is away for a moment: the callers keep waiting
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
                for event in self._waiting.get(call_id, []):
                    event.set()


waiters = CallWaiters(settings.HOOK_WAITERS)

"""Calls that are refused because too many wait. They come by the thousand, and their transaction is rolled back.

So they are counted in memory, and the thread that adds the process's other counts (console.telemetry.totals) records news every
few seconds: of each application at most once a minute. A refused caller costs nothing more.
"""

import threading
import time
from dataclasses import dataclass

from clusters.models import Application
from triggers.models import News
from triggers.notifications.outbox import record_news

SPAN_SECONDS = 60.0
KEPT = 1000  # applications


@dataclass
class Refused:
    """Calls of an application that were refused since the last news of it. `told_at` is on the clock; None for never."""

    number: int = 0
    limit: str = ""
    told_at: float | None = None


class FullQueues:
    """The full queues of this process. Any thread can call its methods."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # never held while anything is waited for
        self._refused: dict[int, Refused] = {}

    def note(self, application_id: int, limit: str) -> None:
        """Note a refused call. `limit` is a sentence that says which limit was reached."""
        with self._lock:
            if application_id not in self._refused and len(self._refused) >= KEPT:
                return
            found = self._refused.setdefault(application_id, Refused())
            found.number += 1
            found.limit = limit

    def store(self) -> None:
        """Record the news that are due. Raises DatabaseError."""
        for application_id, number, limit in self._take_due():
            application = Application.objects.select_related("cluster").filter(pk=application_id).first()
            if application:
                calls = "1 call was" if number == 1 else f"{number} calls were"
                record_news(News.QUEUE_FULL, application=application, facts={"sentence": f"{limit} {calls} refused."})

    def _take_due(self) -> list[tuple[int, int, str]]:
        now, due = time.monotonic(), []
        with self._lock:
            for application_id, found in list(self._refused.items()):
                if found.told_at is not None and now - found.told_at < SPAN_SECONDS:
                    continue
                if found.number:
                    due.append((application_id, found.number, found.limit))
                    found.number, found.told_at = 0, now
                else:
                    del self._refused[application_id]
        return due

    def forget(self) -> None:
        """Begin anew, without recording anything."""
        with self._lock:
            self._refused = {}


full_queues = FullQueues()

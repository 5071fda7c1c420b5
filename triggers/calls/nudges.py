"""Nudges: Celery messages that tell a worker to look at an application's queue. The row in the database is the queue.

Nobody who makes a call waits for a server that is the broker: one thread of the process sends the nudges. With the embedded
broker a nudge is a file, which is written at once.
"""

import atexit
import queue
import threading
from collections.abc import Callable

import structlog
from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError

from clusters.steady import pulse

SILENT_SECONDS = 60.0  # for which a broker may hang

log = structlog.get_logger("windlass.calls")

NUDGE_TASK = "triggers.nudge"
FINISH_SECONDS = 2.0  # for which a process that ends waits for the broker


def publish_nudge(application_id: int) -> None:
    """Nudge a worker. While the broker is away this costs only time: sweep_calls nudges again."""
    if settings.BROKER_URL.startswith("filesystem:"):
        send_nudge(application_id)
    else:
        messenger.send(application_id)


def send_nudge(application_id: int) -> None:
    try:
        current_app.send_task(NUDGE_TASK, (application_id,), retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        log.warning("broker away, the sweep will publish the call", application_id=application_id, error=str(error))
    except Exception:  # the call is recorded, so nothing that happens here may change the caller's answer
        log.exception("a nudge was not sent, the sweep will publish the call", application_id=application_id)


class Messenger:
    """Calls `send` in a thread, with one application after the other. One that waits for that already is not added again."""

    def __init__(self, send: Callable[[int], None]) -> None:
        self._send = send
        self._lock = threading.Lock()  # never held while anything is waited for
        self._waiting: set[int] = set()
        self._queue: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def send(self, application_id: int) -> None:
        """Return at once, whatever `send` waits for."""
        with self._lock:
            if application_id in self._waiting:
                return
            self._waiting.add(application_id)
            self._queue.put(application_id)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="messenger", daemon=True)
                self._thread.start()
                atexit.register(self.finish)

    def finish(self) -> None:
        """Wait until everything is sent, for at most FINISH_SECONDS. Nothing can be sent afterwards."""
        self._queue.put(None)
        if self._thread:
            self._thread.join(FINISH_SECONDS)

    def _run(self) -> None:
        while (application_id := self._queue.get()) is not None:
            with self._lock:
                self._waiting.discard(application_id)  # from here on another nudge is news
            pulse.beat("messenger", SILENT_SECONDS)
            try:
                self._send(application_id)
            except Exception:
                log.exception("a nudge was not sent, the sweep will publish the call", application_id=application_id)
            pulse.rest("messenger")


messenger = Messenger(send_nudge)

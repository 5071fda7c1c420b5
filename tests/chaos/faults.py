"""Makes a worker die at a certain request to the engine, or its clock jump. It works inside the worker's process, at
the transport below the engine's client: the product knows nothing of it.
"""

import os
import signal
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from django.utils import timezone
from docker.transport.unixconn import UnixHTTPConnection

Moment = Literal["before", "during", "after"]
MOMENTS: tuple[Moment, ...] = ("before", "during", "after")


def is_operation(method: str, path: str) -> bool:
    """Return whether a request is an operation: it changes something, or looks up a digest for an update. Reads are none."""
    return method in {"POST", "PUT", "DELETE"} or "/distribution/" in path


def shorten(method: str, path: str) -> str:
    """Return the request's name, such as `POST containers/start`, without version, query and ids."""
    words = path.partition("?")[0].strip("/").split("/")
    words = words[1:] if words[0].startswith("v1.") else words
    return f"{method} {'/'.join(words if len(words) < 3 else (words[0], words[-1][:12]))}"


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


class Transport:
    """Counts the operations of this process from 1 on and notes each in `trace`. At operation `number` it dies: before the
    request is sent, after it is sent and its answer not read (`late` seconds later), or after the answer. 0: it lives on.
    """

    def __init__(self, trace: Path, number: int = 0, moment: Moment = "before", late: float = 0.0) -> None:
        self._trace, self._number, self._moment, self._late = trace, number, moment, late
        self._lock = threading.Lock()
        self._count = 0
        self._doomed = threading.local()  # set while the operation to die at runs in this thread

    def install(self) -> None:
        send, receive = UnixHTTPConnection.request, UnixHTTPConnection.getresponse
        transport = self

        def request(connection: Any, method: str, url: str, *arguments: Any, **options: Any) -> Any:
            doomed = is_operation(method, url) and transport.note(shorten(method, url))
            transport._doomed.now = doomed
            if doomed and transport._moment == "before":
                die()
            send(connection, method, url, *arguments, **options)
            if doomed and transport._moment == "during":
                time.sleep(transport._late)
                die()

        def getresponse(connection: Any, *arguments: Any, **options: Any) -> Any:
            answer = receive(connection, *arguments, **options)
            if getattr(transport._doomed, "now", False):
                die()
            return answer

        UnixHTTPConnection.request, UnixHTTPConnection.getresponse = request, getresponse

    def note(self, words: str) -> bool:
        """Count an operation and return whether it is the one to die at."""
        with self._lock:
            self._count += 1
            with self._trace.open("a") as trace:
                trace.write(f"{time.time():.3f} {words}\n")
            return self._count == self._number


def jump(seconds: float, after: float) -> None:
    """After `after` seconds, set Django's clock in this process `seconds` ahead (negative: behind)."""
    true_now = timezone.now
    jumps_at = time.monotonic() + after

    def now() -> datetime:
        return true_now() + timedelta(seconds=seconds if time.monotonic() >= jumps_at else 0)

    timezone.now = now

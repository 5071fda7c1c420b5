"""Threads that a process needs as long as it runs. Nobody starts them again, so none ends by an exception, and each shows a
sign of life. A thread that gives none for too long is reported by /readyz and the metrics (console.telemetry)."""

import threading
import time
from collections.abc import Callable

import structlog
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection

log = structlog.get_logger("windlass.process")


def run_safely(chore: Callable[[], object]) -> None:
    """Run a chore that is repeated. Whatever it raises is logged, and costs one turn."""
    try:
        chore()
    except (DatabaseError, ImproperlyConfigured) as error:  # the second one if a stored secret cannot be decrypted
        log.warning("a chore failed", chore=name_of(chore), error=str(error))
        connection.close()
    except Exception:  # a thread that ended here would be missed only when something goes wrong
        log.exception("a chore failed unexpectedly", chore=name_of(chore))
        connection.close()


def name_of(chore: Callable[[], object]) -> str:
    return getattr(chore, "__name__", type(chore).__name__)


class Pulse:
    """The signs of life of this process's threads, by their names."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: dict[str, float] = {}

    def beat(self, name: str, within: float) -> None:
        """Show that the thread lives. It will do so again within that many seconds, or rest."""
        with self._lock:
            self._due[name] = time.monotonic() + within

    def rest(self, name: str) -> None:
        """The thread waits for work, or has ended as it should."""
        with self._lock:
            self._due.pop(name, None)

    def list_silent(self) -> list[str]:
        """Return the names of the threads whose sign of life is overdue."""
        now = time.monotonic()
        with self._lock:
            return sorted(name for name, due in self._due.items() if due < now)


pulse = Pulse()

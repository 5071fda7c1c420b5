"""`manage.py watch`: keeps the inventory current from the engines' events, and sees to calls that nobody took."""

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from django.core.management.base import BaseCommand
from django.db import DatabaseError, close_old_connections, connection

from clusters.audit import prune_entries
from clusters.watch import run_watcher
from triggers.tasks import prune_calls, sweep_calls

log = structlog.get_logger("windlass.watch")

SWEEP_SECONDS = 5.0
PRUNE_SECONDS = 3600.0


class Command(BaseCommand):
    help = "Watch the engines and the queue of calls."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Ends at SIGTERM or SIGINT."""
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        clock = threading.Thread(target=keep_house, args=(stopping,), name="house-clock", daemon=True)
        clock.start()
        run_watcher(stopping)
        clock.join()


def keep_house(stopping: threading.Event) -> None:
    """Sweeps and prunes until `stopping`. A database that fails is tried again at the next turn."""
    prune_at = time.monotonic() + SWEEP_SECONDS
    while not stopping.wait(SWEEP_SECONDS):
        close_old_connections()
        run_safely(sweep_calls)
        if time.monotonic() >= prune_at:
            run_safely(prune_calls)
            run_safely(prune_entries)
            prune_at = time.monotonic() + PRUNE_SECONDS
    connection.close()


def run_safely(chore: Callable[[], object]) -> None:
    try:
        chore()
    except DatabaseError as error:
        log.warning("the database refused", chore=chore.__name__, error=str(error))
        connection.close()

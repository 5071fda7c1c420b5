"""`manage.py watch`: keeps the inventory current from the engines' events, sees to calls that nobody took, and polls
registries."""

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand
from django.db import DatabaseError, close_old_connections, connection

from clusters.audit import prune_entries
from clusters.watch import run_watcher
from console.totals import reporting
from triggers.deliveries import prune_deliveries
from triggers.polling import poll_subscriptions
from triggers.tasks import prune_calls, sweep_calls

log = structlog.get_logger("windlass.watch")

SWEEP_SECONDS = 5.0
PRUNE_SECONDS = 3600.0
POLL_SECONDS = 5.0
STOP_SECONDS = 3.0  # how long a stop waits for a registry that is just being asked


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
        # On its own: registries are slow, and calls must not wait for them.
        poller = threading.Thread(target=poll_registries, args=(stopping,), name="poller", daemon=True)
        poller.start()
        with reporting("watch"):
            run_watcher(stopping)
            clock.join()
            poller.join(STOP_SECONDS)


def keep_house(stopping: threading.Event) -> None:
    """Sweeps and prunes until `stopping`. A database that fails is tried again at the next turn."""
    prune_at = time.monotonic() + SWEEP_SECONDS
    while not stopping.wait(SWEEP_SECONDS):
        close_old_connections()
        run_safely(sweep_calls)
        if time.monotonic() >= prune_at:
            run_safely(prune_calls)
            run_safely(prune_entries)
            run_safely(prune_deliveries)
            prune_at = time.monotonic() + PRUNE_SECONDS
    connection.close()


def poll_registries(stopping: threading.Event) -> None:
    """Until `stopping`; a registry that is down is for its subscriptions to tell."""
    while not stopping.wait(POLL_SECONDS):
        close_old_connections()
        run_safely(poll_subscriptions)
    connection.close()


def run_safely(chore: Callable[[], object]) -> None:
    try:
        chore()
    except (DatabaseError, ImproperlyConfigured) as error:  # the latter: a stored secret cannot be decrypted
        log.warning("a chore failed", chore=chore.__name__, error=str(error))
        connection.close()

"""`manage.py watch`: keeps the inventory current, republishes calls that no worker took, prunes old rows, polls registries, and
sends notifications."""

import signal
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand
from django.db import close_old_connections, connection

from clusters.access.audit import prune_entries
from clusters.leases import claim_leases, make_lease_owner
from clusters.steady import pulse, run_safely
from clusters.watch import run_watcher
from console.sessions import prune_sessions
from console.sign_in_locks import prune_failures
from console.telemetry.totals import reporting
from triggers.episodes.sweep import follow_conditions
from triggers.hook.old_secrets import forget_old_secrets
from triggers.notifications.prune import prune_notifications
from triggers.notifications.sending import Courier
from triggers.pushes.ages import prune_seen_images
from triggers.pushes.alerts import prune_alert_groups
from triggers.pushes.deliveries import prune_deliveries
from triggers.pushes.looks import look_for_awaited_images
from triggers.pushes.polling import poll_subscriptions
from triggers.tasks import prune_calls, sweep_calls

SWEEP_SECONDS = 5.0
PRUNE_SECONDS = 3600.0  # between two prunes, by whichever watcher
PRUNE_CHECK_SECONDS = 60.0  # between two checks whether one is due
POLL_SECONDS = 5.0
NOTIFY_SECONDS = 2.0  # between two looks for notifications that are due
SILENT_SECONDS = 900.0  # a chore that takes longer has hung: each of its requests and statements has a time limit
STOP_SECONDS = 3.0  # for which a stop waits for the answer of a registry or a receiver


class Command(BaseCommand):
    help = "Watch the engines and the queue of calls."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM or SIGINT."""
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        clock = threading.Thread(target=keep_house, args=(stopping,), name="house-clock", daemon=True)
        clock.start()
        # In a thread of its own, because registries are slow and calls must not wait for them.
        poller = threading.Thread(target=poll_registries, args=(stopping,), name="poller", daemon=True)
        poller.start()
        notifier = threading.Thread(target=send_notifications, args=(stopping,), name="notifier", daemon=True)
        notifier.start()
        with reporting("watch"):
            run_watcher(stopping)
            clock.join()
            poller.join(STOP_SECONDS)
            notifier.join(STOP_SECONDS + 1)


def keep_house(stopping: threading.Event) -> None:
    """Sweep and prune until `stopping` is set. Whatever fails, the next turn retries.

    Every watcher sweeps, since a call that is published twice is claimed only once. One of them prunes.
    """
    check_at = 0.0
    while not stopping.wait(SWEEP_SECONDS):
        pulse.beat("house-clock", SILENT_SECONDS)
        close_old_connections()
        run_safely(sweep_calls)
        run_safely(follow_conditions)
        if time.monotonic() >= check_at:
            run_safely(prune_when_due)
            check_at = time.monotonic() + PRUNE_CHECK_SECONDS
    connection.close()


PRUNES = (
    prune_calls,
    prune_entries,
    prune_deliveries,
    prune_notifications,
    prune_alert_groups,
    prune_seen_images,
    prune_sessions,
    prune_failures,
    forget_old_secrets,
)


def prune_when_due() -> None:
    """Delete old rows, unless a watcher did so within the last PRUNE_SECONDS: its lease is kept until it expires."""
    if claim_leases({"prune"}, make_lease_owner(), PRUNE_SECONDS):
        for prune in PRUNES:
            pulse.beat("house-clock", SILENT_SECONDS)
            run_safely(prune)


def poll_registries(stopping: threading.Event) -> None:
    """Poll until `stopping` is set. A registry that does not answer is reported by its subscriptions."""
    while not stopping.wait(POLL_SECONDS):
        pulse.beat("poller", SILENT_SECONDS)
        close_old_connections()
        run_safely(poll_subscriptions)
        run_safely(look_for_awaited_images)
    connection.close()


def send_notifications(stopping: threading.Event) -> None:
    """Send what is due until `stopping` is set. What is under way then is sent again by another watcher."""
    courier = Courier()
    while not stopping.wait(NOTIFY_SECONDS):
        pulse.beat("notifier", SILENT_SECONDS)
        close_old_connections()
        run_safely(courier.look)
    courier.finish(STOP_SECONDS)
    connection.close()

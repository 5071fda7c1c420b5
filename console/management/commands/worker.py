"""`manage.py worker`: the Celery worker that runs the calls. Any number of hosts may run one."""

import os
import warnings
from typing import Any

from celery.exceptions import SecurityWarning
from celery.signals import worker_shutting_down
from django.conf import settings
from django.core.management.base import BaseCommand

from console.celery import app
from console.telemetry.totals import reporting
from triggers.run.stopping import stopping


class Command(BaseCommand):
    help = "Run the calls that are queued."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Ends at SIGTERM or SIGINT, when the calls it is running have ended, or were handed over to another worker after the
        grace period."""
        warnings.simplefilter("ignore", SecurityWarning)  # root is who may use the engine's socket, and messages are JSON
        os.environ["CELERY_SKIP_CHECKS"] = "1"  # else it imports every URL and view, 35 MB
        app.conf.worker_enable_remote_control = False
        app.conf.worker_prefetch_multiplier = 1  # a nudge that waits here is one that no other worker takes
        worker_shutting_down.connect(begin_stop)
        with reporting("worker"):
            app.Worker(
                pool="threads",  # a call waits for its engine, not for the CPU
                concurrency=settings.WORKER_THREADS,
                queues=[settings.CELERY_TASK_DEFAULT_QUEUE],
                loglevel="WARNING",
                quiet=True,
                # The database tells who works at what (leases), so that workers need not talk to one another.
                without_gossip=True,
                without_mingle=True,
                without_heartbeat=True,
            ).start()


def begin_stop(**_: Any) -> None:
    stopping.begin(settings.STOP_GRACE_SECONDS)

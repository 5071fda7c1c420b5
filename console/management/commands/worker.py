"""`manage.py worker`: the Celery worker that runs the calls. Any number of hosts may run one."""

import os
import warnings
from typing import Any

from celery.exceptions import SecurityWarning
from django.conf import settings
from django.core.management.base import BaseCommand

from console.celery import app
from console.totals import reporting


class Command(BaseCommand):
    help = "Run the calls that are queued."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Ends at SIGTERM or SIGINT, when the calls it is running have ended."""
        warnings.simplefilter("ignore", SecurityWarning)  # root is who may use the engine's socket, and messages are JSON
        os.environ["CELERY_SKIP_CHECKS"] = "1"  # else it imports every URL and view, 35 MB
        app.conf.worker_enable_remote_control = False
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

"""`manage.py worker`: runs the calls, as a Celery worker. Any number of hosts can run one."""

import os
import sys
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
    help = "Run queued calls."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM or SIGINT. Running calls then end, or are handed over to another worker after the grace period."""
        # Only root may use the engine's socket, so Celery's warning about root does not apply; messages are JSON.
        warnings.simplefilter("ignore", SecurityWarning)
        os.environ["CELERY_SKIP_CHECKS"] = "1"  # the checks would import every URL and view, 35 MB
        app.conf.worker_enable_remote_control = False
        app.conf.worker_prefetch_multiplier = 1  # no other worker can take a nudge that waits here
        app.conf.worker_consumer = "console.process.consumer:PatientConsumer"
        app.conf.broker_connection_max_retries = None  # however long the broker is away
        app.conf.broker_channel_error_retry = True  # also where it is there and refuses a request
        worker_shutting_down.connect(begin_stop)
        with reporting("worker"):
            worker = app.Worker(
                pool="threads",  # a call waits for its engine, not for the CPU
                concurrency=settings.WORKER_THREADS,
                queues=[settings.CELERY_TASK_DEFAULT_QUEUE],
                loglevel="WARNING",
                quiet=True,
                # Leases in the database show which worker runs what, so workers do not need to talk to each other.
                without_gossip=True,
                without_mingle=True,
                without_heartbeat=True,
            )
            worker.start()
        if worker.exitcode and not stopping.has_begun:
            sys.exit(worker.exitcode)  # so that a supervisor starts another one


def begin_stop(**_: Any) -> None:
    stopping.begin(settings.STOP_GRACE_SECONDS)

"""The Celery application. The task is a nudge; the row in the database is the queue."""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging

from console.broker import use_bell

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
use_bell()
app = Celery("windlass")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_django_logging(**_: Any) -> None:
    """A receiver here keeps Celery from replacing the log set-up of console.logs."""

"""The Celery application. A task is a nudge; the row in the database is the queue."""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings

from console.process.broker import put_task, use_bell

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
use_bell()


class Windlass(Celery):
    def send_task(self, name: str, args: Any = None, kwargs: Any = None, **options: Any) -> Any:  # type: ignore[override]
        """Put a plain task straight into the folder of the embedded broker (see put_task). Leave any other to Celery."""
        folders = settings.CELERY_BROKER_TRANSPORT_OPTIONS
        if "data_folder_out" not in folders or kwargs or options.keys() - {"retry", "ignore_result"}:
            return super().send_task(name, args, kwargs, **options)
        return put_task(folders, settings.CELERY_TASK_DEFAULT_QUEUE, name, tuple(args or ()))


app = Windlass("windlass")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_django_logging(**_: Any) -> None:
    """Keep Celery from replacing the log set-up of console.telemetry.log_lines: it does not if this signal has a receiver."""

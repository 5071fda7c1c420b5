"""Nudges: Celery messages that tell a worker to look at an application's queue. The row in the database is the queue."""

import structlog
from celery import current_app
from kombu.exceptions import OperationalError

log = structlog.get_logger("windlass.calls")

NUDGE_TASK = "triggers.nudge"


def publish_nudge(application_id: int) -> None:
    """Nudge a worker. While the broker is away this costs only time: sweep_calls nudges again."""
    try:
        current_app.send_task(NUDGE_TASK, (application_id,), retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        log.warning("broker away, the sweep will publish the call", application_id=application_id, error=str(error))

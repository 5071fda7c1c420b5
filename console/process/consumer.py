"""The worker's connection to the broker. Celery ends a worker whose broker refuses it: the login, the virtual host, or what a
full server or a read-only replica does not take. A broker is mended without us, so this consumer asks again until it is."""

import time
from typing import Any

import structlog
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown

log = structlog.get_logger("windlass.process")

FIRST_SECONDS, MOST_SECONDS = 1, 5


class PatientConsumer(Consumer):
    def ensure_connected(self, conn: Any) -> Any:
        """Return the connection once the broker takes it. Celery itself waits for one that cannot be reached. Raises
        WorkerShutdown when the worker is being stopped."""
        seconds = FIRST_SECONDS
        while True:
            try:
                return super().ensure_connected(conn)
            except (*conn.connection_errors, *conn.channel_errors) as error:
                log.warning("the broker refuses the worker, which asks again", error=str(error), seconds=seconds)
            for _ in range(seconds):
                maybe_shutdown()
                time.sleep(1)
            seconds = min(2 * seconds, MOST_SECONDS)

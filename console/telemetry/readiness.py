"""Whether this web process can do its work: each check an answer of its own, in seconds, whatever hangs.

A check runs in a thread that is never started twice: when one hangs, those who ask meanwhile are told so after PATIENCE. An
answer holds for KEPT seconds, so that asking often costs nothing. No answer names an address or holds an error's words, which
may have one.
"""

import threading
import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from kombu.exceptions import KombuError

from console.celery import app

log = structlog.get_logger("windlass.readiness")

PATIENCE = 3.0  # seconds
KEPT = 1.0  # seconds
CONNECT_SECONDS = 2
OK = "ok"


class Check:
    """`examine` returns "ok" or a sentence."""

    def __init__(self, examine: Callable[[], str]) -> None:
        self._examine = examine
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._answer = ""
        self._answered_at = -KEPT

    def ask(self, patience: float) -> str:
        """Its answer, within `patience` seconds."""
        with self._lock:
            if time.monotonic() - self._answered_at < KEPT:
                return self._answer
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="readiness", daemon=True)
                self._thread.start()
            thread = self._thread
        thread.join(max(patience, 0.0))
        return f"It does not answer within {PATIENCE:.0f} s." if thread.is_alive() else self._answer

    def _run(self) -> None:
        answer = "The check itself failed; the log says more."
        try:
            answer = self._examine()
        except Exception:  # noqa: BLE001 - the answer to any is the same
            log.exception("a check failed")
        finally:
            connection.close()
            self._answer, self._answered_at = answer, time.monotonic()


def check_database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseFailure:
        return "The database does not answer."
    return OK


_migrated = False  # what is applied stays applied


def check_migrations() -> str:
    global _migrated  # noqa: PLW0603
    try:
        if not _migrated:
            executor = MigrationExecutor(connection)
            _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseFailure:
        return "The database does not answer."
    return OK if _migrated else "The database is not up to date: run manage.py migrate."


def check_broker() -> str:
    """Connects as a publisher does: with Redis and RabbitMQ the server has answered by then."""
    try:
        with app.connection_for_write(connect_timeout=CONNECT_SECONDS) as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=CONNECT_SECONDS)
            if settings.BROKER_URL.startswith("filesystem:"):
                draft = settings.QUEUE_DIR / "messages" / f".ready-{threading.get_ident()}"
                draft.touch()
                draft.unlink()
    except (KombuError, OSError):
        return "Nothing can be published to the broker; calls are accepted, and begin some seconds late."
    return OK


CHECKS = {"database": Check(check_database), "migrations": Check(check_migrations), "broker": Check(check_broker)}


def check_readiness() -> dict[str, str]:
    """By check: "ok", or a sentence."""
    deadline = time.monotonic() + PATIENCE
    return {name: check.ask(deadline - time.monotonic()) for name, check in CHECKS.items()}

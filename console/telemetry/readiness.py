"""Whether this web process can do its work. Each check answers within seconds, even if something hangs.

A check runs in a thread that is not started again while it runs. If the check hangs, callers get that answer after PATIENCE
seconds. An answer is kept for KEPT seconds, so that frequent requests cost nothing. Anybody can ask, and links are answered by
the same threads, so only few callers wait for a check; the others get its last answer. Answers contain neither an address nor
an error's text, which could contain one.
"""

import math
import threading
import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from kombu import Connection
from kombu.exceptions import KombuError

from console.celery import app
from console.database_version import explain_misfit
from console.telemetry.totals import list_processes

log = structlog.get_logger("windlass.readiness")

PATIENCE = 3.0  # seconds
KEPT = 1.0  # seconds
MOST_WAITING = 8  # callers of one check
STALE = 10.0  # seconds for which the last answer is given to callers that do not wait
CONNECT_SECONDS = 2
OK = "ok"
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"  # OpenSSL's word, which kombu passes on
SHOWN = 5  # processes in one answer
NO_ANSWER = f"No answer within {PATIENCE:.0f} s."


class Check:
    """One check. Its function `examine` returns "ok" or a sentence."""

    def __init__(self, examine: Callable[[], str]) -> None:
        self._examine = examine
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._waiting = 0
        self._answer = ""
        self._answered_at = -math.inf

    def ask(self, patience: float) -> str:
        """Return the check's answer within `patience` seconds, or its last one at once where enough callers wait."""
        with self._lock:
            age = time.monotonic() - self._answered_at
            if age < KEPT:
                return self._answer
            if self._waiting >= MOST_WAITING:
                return self._answer if age < STALE else NO_ANSWER
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="readiness", daemon=True)
                self._thread.start()
            thread = self._thread
            self._waiting += 1
        thread.join(max(patience, 0.0))
        with self._lock:
            self._waiting -= 1
        return NO_ANSWER if thread.is_alive() else self._answer

    def _run(self) -> None:
        answer = "The check itself failed. See the log."
        try:
            answer = self._examine()
        except Exception:  # noqa: BLE001 - the answer is the same for all
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


_migrated = False  # never becomes False again: applied migrations stay applied


def check_migrations() -> str:
    global _migrated  # noqa: PLW0603
    try:
        if not _migrated:
            executor = MigrationExecutor(connection)
            _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        if misfit := explain_misfit():
            return misfit
    except DatabaseFailure:
        return "The database does not answer."
    return OK if _migrated else "The database is not up to date: run manage.py migrate."


def check_broker() -> str:
    """Connect as a publisher does. With Redis and RabbitMQ, connecting includes an answer of the server."""
    try:
        with app.connection_for_write(connect_timeout=CONNECT_SECONDS) as broker:
            return ask_broker(broker)
    except (KombuError, OSError) as error:
        problem = "The broker's certificate is not trusted" if UNTRUSTED in str(error) else "The broker cannot be reached"
        advice = " Check the TLS parameters of BROKER_URL." if UNTRUSTED in str(error) else ""
        return f"{problem}. Calls are accepted, but start some seconds late.{advice}"


def ask_broker(broker: Connection) -> str:
    """Raises KombuError and OSError for a broker that cannot be reached."""
    try:
        broker.ensure_connection(max_retries=1, interval_start=0, timeout=CONNECT_SECONDS)
    except (KombuError, OSError):
        raise
    except (*broker.connection_errors, *broker.channel_errors) as error:  # it refuses the login, or has no such virtual host
        log.warning("the broker refuses the connection", error=str(error))
        return "The broker refuses the connection. Calls are accepted, but start some seconds late. Check BROKER_URL."
    if settings.BROKER_URL.startswith("filesystem:"):
        draft = settings.QUEUE_DIR / "messages" / f".ready-{threading.get_ident()}"
        draft.touch()
        draft.unlink()
    return OK


def check_threads() -> str:
    """Report threads that have hung, of any process. Links and pages are answered all the same."""
    try:
        stuck = [process for process in list_processes() if process.silent]
    except DatabaseFailure:
        return "The database does not answer."
    sentences = [
        f"In the {process.part} process {process.pid} on {process.host} this has stood still for minutes: {process.silent}. "
        "Restart the process."
        for process in stuck[:SHOWN]
    ]
    return " ".join(sentences) or OK


CHECKS = {"database": Check(check_database), "migrations": Check(check_migrations), "broker": Check(check_broker)}
ADVICE = {"threads": Check(check_threads)}


def check_readiness() -> tuple[bool, dict[str, str]]:
    """Return whether this process is ready, and the answer of each check by its name: "ok" or a sentence. Advice does not
    count: it is about what this process can do without."""
    deadline = time.monotonic() + PATIENCE
    answers = {name: check.ask(deadline - time.monotonic()) for name, check in (CHECKS | ADVICE).items()}
    return all(answers[name] == OK for name in CHECKS), answers

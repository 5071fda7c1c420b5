"""Sums in the database of what all processes on all hosts count. This module is the only writer of Total and Process.

Each process adds its counts every few seconds and when it ends. Any web process answers /metrics with the sums of all, which
outlive restarts and the pruning of calls. If a process is killed, the counts of its last STORE_SECONDS are lost. They serve
graphs and alerts; the calls themselves are the record.
"""

import json
import os
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import Error as DatabaseFailure
from django.db import connection, transaction
from django.utils import timezone

from clusters import meters
from clusters.access.counted_acts import counted_acts
from clusters.meters import Series
from clusters.steady import pulse
from console.database_version import explain_misfit
from console.models import Process, Total
from console.telemetry.line_limit import line_limit
from console.version import VERSION
from triggers.hook.old_secrets import old_secret_uses
from triggers.notifications.full_queues import full_queues
from triggers.pushes.refused_calls import refused_calls

log = structlog.get_logger("windlass.process")

STORE_SECONDS = 5.0
SEEN_EVERY = 15.0  # seconds between two updates of Process.seen_at
LOST_AFTER = timedelta(seconds=60)  # without such an update
FORGOTTEN_AFTER = timedelta(hours=1)
ROWS_AT_ONCE = 200
SILENT_LENGTH = 255  # characters of Process.silent


def store_totals() -> None:
    """Add this process's counts to the sums. If the database fails, keep them and raise DatabaseFailure."""
    counts = meters.drain_counts()
    if not counts:
        return
    try:
        # Always in the same order, so that two processes never wait for each other's rows.
        rows = sorted((name, json.dumps(dict(labels)), value) for (name, labels), value in counts.items())
        with transaction.atomic(), connection.cursor() as cursor:
            for start in range(0, len(rows), ROWS_AT_ONCE):
                part = rows[start : start + ROWS_AT_ONCE]
                cursor.execute(_write_statement(len(part)), [value for row in part for value in row])
    except BaseException:
        meters.restore_counts(counts)
        raise


def _write_statement(rows: int) -> str:
    table = connection.ops.quote_name(Total._meta.db_table)
    return f"""
        INSERT INTO {table} (name, labels, value) VALUES {", ".join(["(%s, %s, %s)"] * rows)}
        ON CONFLICT (name, labels) DO UPDATE SET value = {table}.value + excluded.value
    """  # noqa: S608 - a table's name; the values are parameters


def read_totals() -> dict[Series, float]:
    rows = Total.objects.order_by("pk").values_list("name", "labels", "value")
    return {(name, tuple(json.loads(labels).items())): value for name, labels, value in rows}


def list_processes() -> list[Process]:
    """Return the running processes. A killed one is listed until LOST_AFTER has passed."""
    return list(Process.objects.filter(seen_at__gte=timezone.now() - LOST_AFTER))


class Reporter:
    """A thread that stores what its process counts, and that the process is running."""

    def __init__(self, part: str) -> None:
        self.part = part
        self.started_at = timezone.now()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="totals", daemon=True)
        self._seen_at: datetime | None = None

    def start(self) -> None:
        log.info("process started", part=self.part, host=socket.gethostname(), pid=os.getpid(), version=VERSION)
        self._thread.start()

    def stop(self) -> None:
        log.info("process ends", part=self.part, host=socket.gethostname(), pid=os.getpid())
        self._stopping.set()
        self._thread.join(STORE_SECONDS)

    def _run(self) -> None:
        self._attempt(report_misfit)
        self._attempt(self.note_process)
        while not self._stopping.wait(STORE_SECONDS):
            self._attempt(store_totals)
            self._attempt(counted_acts.store)
            self._attempt(refused_calls.store)
            self._attempt(line_limit.report)
            self._attempt(old_secret_uses.store)
            self._attempt(full_queues.store)
            if self._seen_at is None or timezone.now() - self._seen_at >= timedelta(seconds=SEEN_EVERY):
                self._attempt(self.note_process)
        self._attempt(store_totals)
        self._attempt(counted_acts.store)
        self._attempt(refused_calls.store)
        self._attempt(line_limit.report)
        self._attempt(old_secret_uses.store)
        self._attempt(full_queues.store)
        self._attempt(self.forget_process)

    def _attempt(self, step: Callable[[], None]) -> None:
        """Run the step. If it fails, the next turn retries; other log lines report that the database is unavailable."""
        try:
            step()
        except DatabaseFailure as error:
            log.debug("not stored", step=step.__name__, error=str(error))
        except Exception:
            log.exception("not stored", step=step.__name__)
        finally:
            connection.close()

    def _own_row(self) -> dict[str, Any]:
        return {"host": socket.gethostname()[:64], "pid": os.getpid(), "started_at": self.started_at}

    def note_process(self) -> None:
        now = timezone.now()
        silent = ", ".join(pulse.list_silent())[:SILENT_LENGTH]
        values = {"part": self.part, "seen_at": now, "resident_bytes": read_resident_bytes(), "silent": silent}
        if not Process.objects.filter(**self._own_row()).update(**values):
            Process.objects.create(**self._own_row(), **values)
            Process.objects.filter(seen_at__lt=now - FORGOTTEN_AFTER).delete()
        self._seen_at = now

    def forget_process(self) -> None:
        Process.objects.filter(**self._own_row()).delete()


def report_misfit() -> None:
    if misfit := explain_misfit():
        log.error("the database is too new", reason=misfit)


@contextmanager
def reporting(part: str) -> Iterator[None]:
    """Store what this process counts, and that it runs as `part`, while the context is active."""
    reporter = Reporter(part)
    reporter.start()
    try:
        yield
    finally:
        reporter.stop()


def read_resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as stream:
        return int(stream.read().split()[1]) * resource.getpagesize()

"""`manage.py web`: serves the console with one process. Other hosts can run more of them."""

import asyncio
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, cast

import structlog
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.management.base import BaseCommand
from django.db import connection, connections

from console.checks import check_allowed_hosts
from console.server.door import Door
from console.server.granian_server import GranianServer
from console.server.threads import RequestThreads
from console.telemetry.totals import reporting
from triggers.hook.waiting import waiters

log = structlog.get_logger("windlass.web")

# Threads that work at a time, of settings.REQUEST_THREADS. PostgreSQL is waited for, SQLite computes in the thread.
WORKERS = 4 if connection.vendor == "postgresql" else 2
IDLE_SECONDS = 30


def load_door(_: object = None) -> Door:
    """Return the application. The server calls this in the thread of its event loop, before the loop runs."""
    if connection.vendor != "postgresql":
        # Saves 10 MB: the REST framework would import psycopg for field types that no model here has.
        sys.modules.setdefault("django.contrib.postgres.fields", cast(ModuleType, None))
    from console.server.admission import may_send_large_bodies
    from console.wsgi import application

    threads = RequestThreads(settings.REQUEST_THREADS, IDLE_SECONDS, WORKERS, connections.close_all)
    door = Door(application, threads, may_send_large_bodies, settings.HOOK_BODY_LIMIT, RequestDataTooBig, settings.PREFIX)
    asyncio.get_event_loop().call_soon(watch_signals, door.close)
    gc.freeze()  # what is loaded now stays: to look at it again at each full collection would stop everybody for 80 ms
    return door


def watch_signals(close: Callable[[], None]) -> None:
    """At SIGTERM or SIGINT, answer the callers that wait for a call, and call `close`, so that the server can end. Call it when
    the event loop runs: its own handlers get the signals too."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    loop_descriptor = signal.set_wakeup_fd(writer.detach())

    def watch() -> None:
        while received := reader.recv(1):
            if received[0] in {signal.SIGTERM, signal.SIGINT}:
                waiters.stop()
                close()
            os.write(loop_descriptor, received)

    threading.Thread(target=watch, name="signals", daemon=True).start()


class Command(BaseCommand):
    help = "Serve the console at WINDLASS_HOST and WINDLASS_PORT."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        for message in check_allowed_hosts():
            log.warning("unsafe setting", text=message.msg)
        with reporting("web"):
            GranianServer(settings.HOST.strip("[]"), settings.PORT).serve(target_loader=load_door)

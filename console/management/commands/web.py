"""`manage.py web`: serves the console with one process. Other hosts can run more of them."""

import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, cast

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connection
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer

from console.checks import check_allowed_hosts
from console.telemetry.totals import reporting
from triggers.hook.waiting import waiters

log = structlog.get_logger("windlass.web")

# A caller that waits for its call to end (`wait=`) holds a thread. Threads are started on demand and end when idle.
BLOCKING_THREADS = settings.HOOK_WAITERS + 32
IDLE_SECONDS = 30


class Server(MPServer):
    """Runs granian's worker in this process. Granian's own parent process costs 25 MB, and whatever starts us restarts us."""

    def _serve(self, spawn_target: Callable[..., None], target_loader: Callable[..., Any]) -> None:
        self._init_shared_socket()
        self._start_ipc()
        self._spawn_worker(0, spawn_target, target_loader).inner.run()


def load_application(_: str) -> Callable[..., Any]:
    if connection.vendor != "postgresql":
        # Saves 10 MB: the REST framework would import psycopg for field types that no model here has.
        sys.modules.setdefault("django.contrib.postgres.fields", cast(ModuleType, None))
    from console.wsgi import application

    return application


def watch_signals() -> socket.socket:
    """Return a socket that receives the number of each signal as a byte. Granian's signal handlers run as well."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach())
    return reader


def stop_waiting(signals: socket.socket) -> None:
    """At SIGTERM or SIGINT, answer the callers that wait for a call with its status URL, so that the server can end."""
    while received := signals.recv(1):
        if received[0] in {signal.SIGTERM, signal.SIGINT}:
            waiters.stop()


class Command(BaseCommand):
    help = "Serve the console at WINDLASS_HOST and WINDLASS_PORT."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        threading.Thread(target=stop_waiting, args=(watch_signals(),), name="signals", daemon=True).start()
        for message in check_allowed_hosts():
            log.warning("unsafe setting", text=message.msg)
        with reporting("web"):
            self.serve()

    def serve(self) -> None:
        Server(
            "console.wsgi:application",
            address=settings.HOST.strip("[]"),
            port=settings.PORT,
            interface=Interfaces.WSGI,
            workers=1,
            blocking_threads=BLOCKING_THREADS,
            blocking_threads_idle_timeout=IDLE_SECONDS,
            websockets=False,
            # No request log, which would contain the links' secrets. console.telemetry.request_log logs each request.
            log_level=LogLevels.error,
        ).serve(target_loader=load_application)

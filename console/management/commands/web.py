"""`manage.py web`: serves the console. One process; another host may run another one beside it."""

import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, cast

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connection
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer

from console.telemetry.totals import reporting
from triggers.hook.waiting import waiters

# A caller that waits for the end of its call (`wait=`) holds a thread. Threads are made when needed and go when idle.
BLOCKING_THREADS = settings.HOOK_WAITERS + 32
IDLE_SECONDS = 30


class Server(MPServer):
    """Granian's worker in this very process: whoever starts us restarts us, and a process in between costs 25 MB."""

    def _serve(self, spawn_target: Callable[..., None], target_loader: Callable[..., Any]) -> None:
        self._init_shared_socket()
        self._start_ipc()
        self._spawn_worker(0, spawn_target, target_loader).inner.run()


def load_application(_: str) -> Callable[..., Any]:
    if connection.vendor != "postgresql":
        # The REST framework would import psycopg for field types that no model here has: 10 MB.
        sys.modules.setdefault("django.contrib.postgres.fields", cast(ModuleType, None))
    from console.wsgi import application

    return application


def watch_signals() -> socket.socket:
    """A socket that gets the number of each signal as a byte. The signal's handler, which is granian's, runs as well."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach())
    return reader


def stop_waiting(signals: socket.socket) -> None:
    """At SIGTERM or SIGINT: callers that wait for the end of a call are told where to ask; then the server can end."""
    while received := signals.recv(1):
        if received[0] in {signal.SIGTERM, signal.SIGINT}:
            waiters.stop()


class Command(BaseCommand):
    help = "Serve the console at WINDLASS_HOST and WINDLASS_PORT."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        threading.Thread(target=stop_waiting, args=(watch_signals(),), name="signals", daemon=True).start()
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
            # No access log: it would show the links' secrets. console.telemetry.request_log has a line a request.
            log_level=LogLevels.error,
        ).serve(target_loader=load_application)

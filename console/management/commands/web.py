"""`manage.py web`: serves the console. One process; another host may run another one beside it."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, cast

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connection
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer

from console.totals import reporting

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


class Command(BaseCommand):
    help = "Serve the console at WINDLASS_HOST and WINDLASS_PORT."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
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
            # No access log: it would show the links' secrets. console.middleware has a line a request.
            log_level=LogLevels.error,
        ).serve(target_loader=load_application)

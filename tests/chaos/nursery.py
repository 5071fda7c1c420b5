"""Starts the console's parts by forking a process that has imported everything, in a tenth of a second instead of two.

Each part is `manage.py <part>` in a process of its own, with the environment of the nursery; only the import is shared.
"""

import ctypes
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1


@dataclass
class Process:
    """A part that was started, and that may have died since."""

    part: str
    pid: int
    descriptor: int  # pidfd

    def has_ended(self, within: float = 0.0) -> bool:
        return bool(select.select([self.descriptor], [], [], within)[0])

    def kill(self) -> None:
        """Send SIGKILL and return when the part is dead. Safe to repeat."""
        if not self.has_ended():
            signal.pidfd_send_signal(self.descriptor, signal.SIGKILL)
            self.has_ended(within=10)


class Nursery:
    """The fork server. Create it before any thread or connection exists. It ends with the process that created it."""

    def __init__(self, log: Path) -> None:
        ours, theirs = socket.socketpair()
        if not os.fork():
            ours.close()
            end_with_parent()
            serve(theirs, log)
        theirs.close()
        self._stream = ours.makefile("rw")

    def start(self, part: str, **options: Any) -> Process:
        """Start `manage.py part`. Options: `fault` has the arguments of faults.Transport, `clock` those of faults.jump."""
        self._stream.write(json.dumps({"part": part, **options}) + "\n")
        self._stream.flush()
        pid = int(self._stream.readline())
        return Process(part, pid, os.pidfd_open(pid))


def end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def serve(requests: socket.socket, log: Path) -> None:
    """Read a line for each part to start, and answer with its pid. Never returns."""
    prepare(log)
    stream = requests.makefile("rw")
    dead: list[int] = []
    for line in stream:
        while dead and os.waitpid(-1, os.WNOHANG)[0]:
            dead.pop()
        pid = os.fork()
        if not pid:
            requests.close()
            run_part(json.loads(line))
        dead.append(pid)
        stream.write(f"{pid}\n")
        stream.flush()
    os._exit(0)


def prepare(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)

    import django

    django.setup()
    for module in ("clusters.engine.connection.client", "clusters.inventory", "console.celery", "triggers.tasks"):
        importlib.import_module(module)


def run_part(request: dict[str, Any]) -> None:
    from django.core.management import call_command

    from tests.chaos import faults

    end_with_parent()
    try:
        os.setsid()
        if fault := request.get("fault"):
            faults.Transport(**{**fault, "trace": Path(fault["trace"])}).install()
        if clock := request.get("clock"):
            faults.jump(**clock)
        print(f"{time.time():.3f} {request}", flush=True)
        call_command(request["part"])
    except BaseException as error:  # noqa: BLE001 - whatever it is, this process must not continue as the nursery
        print(f"{request['part']} ended: {error!r}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)

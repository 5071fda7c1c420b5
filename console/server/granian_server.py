"""Runs granian's worker in this process, on a listening socket of our own.

What granian can bound is bounded here: the time and the size of a request's head, the protocol, and the number of connections.
"""

import resource
import socket
from collections.abc import Callable
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

HEAD_SECONDS = 10.0  # in which the head of a request must have arrived, also that of the next one on the same connection
HEAD_LIMIT = 32 * 1024  # bytes, as much as nginx takes
# What the client does not acknowledge for so long, because it takes nothing or is no longer there, ends its connection.
UNACKNOWLEDGED_SECONDS = 30.0
# What the kernel keeps of answers for a client that does not take them; without a limit it can be 4 MB for each.
SEND_BUFFER = 128 * 1024  # bytes
CONNECTIONS = 16_384
BACKLOG = 4096
RESERVED_FILES = 1024  # descriptors for the database, the engines and the rest of the process


class GranianServer(MPServer):
    """Serves one ASGI application. Granian's own parent process costs 25 MB, and whatever starts us restarts us."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            "console.server:door",  # a name for messages; `serve` gets the application from its loader
            address=host,
            port=port,
            interface=Interfaces.ASGINL,
            workers=1,
            blocking_threads=1,
            loop=Loops.asyncio,
            backlog=BACKLOG,
            backpressure=allow_connections(),
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=int(HEAD_SECONDS * 1000), max_buffer_size=HEAD_LIMIT),
            websockets=False,
            # No request log, which would contain the links' secrets. console.telemetry.request_log logs each request.
            log_level=LogLevels.error,
        )

    def _init_shared_socket(self) -> None:
        self._sso = None
        listener = listen(self.bind_addr, self.bind_port)
        self._shd = SocketHolder(listener.detach(), False, BACKLOG)  # type: ignore[assignment, call-arg] # its stub knows none

    def _serve(self, spawn_target: Callable[..., None], target_loader: Callable[..., Any]) -> None:
        self._init_shared_socket()
        self._start_ipc()
        self._spawn_worker(0, spawn_target, target_loader).inner.run()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Each accepted connection inherits its options. Raises OSError."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.create_server(address[:2], family=family, backlog=BACKLOG, reuse_port=True)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNACKNOWLEDGED_SECONDS * 1000))
    return listener


def allow_connections() -> int:
    """Raise this process's limit of open files to what the system allows, and return how many connections fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + RESERVED_FILES
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return max(limit - RESERVED_FILES, limit // 2)

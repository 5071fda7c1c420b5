"""A small HTTP server with scripted answers, also those that no real registry can be made to give."""

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from clusters.registry.access import RegistryAccess

DRIP_SECONDS = 0.05
DRIP_COUNT = 200  # in total longer than any deadline of these tests


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Any
    body: bytes = b""

    @property
    def authorization(self) -> str:
        return self.headers.get("Authorization", "")


@dataclass(frozen=True)
class Reply:
    """One answer. A `body` in parts is written with a pause before each part."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""


Script = Callable[[Asked], Reply | bytes]  # bytes are written as they are, drop by drop, instead of an HTTP answer


@dataclass
class ScriptedRegistry:
    port: int
    asked: list[Asked] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def access(self, username: str = "", password: str = "") -> RegistryAccess:
        return RegistryAccess(self.host, username, password, plain_http=True)

    @property
    def lines(self) -> list[str]:
        """Each request such as `GET /v2/`, without its query."""
        return [f"{each.method} {each.path.partition('?')[0]}" for each in self.asked]


@contextlib.contextmanager
def serve(script: Script, context: ssl.SSLContext | None = None, port: int = 0) -> Iterator[ScriptedRegistry]:
    stopped = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            asked = Asked(self.command, self.path, self.headers, body)
            registry.asked.append(asked)
            reply = script(asked)
            with contextlib.suppress(OSError):  # the client can have disconnected
                if isinstance(reply, bytes):
                    self.drip(bytes([each]) for each in reply)
                else:
                    self.write(reply)

        def write(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if isinstance(reply.body, bytes):
                if "Content-Length" not in reply.headers:
                    self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body if self.command != "HEAD" else b"")
            else:
                self.end_headers()
                self.drip(reply.body)

        def drip(self, parts: Iterable[bytes]) -> None:
            self.close_connection = True
            for part in parts:
                if stopped.wait(DRIP_SECONDS):
                    return
                self.wfile.write(part)
                self.wfile.flush()

        do_GET = do_HEAD = do_POST = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.handle_error = lambda *_: None  # a client that disconnects is not an error here
    server.daemon_threads = True
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    registry = ScriptedRegistry(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        stopped.set()
        server.shutdown()
        server.server_close()

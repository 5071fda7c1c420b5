"""Engines that only record: what reaches them of the credentials for registries."""

import base64
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

DIGEST = "sha256:" + "d" * 64


@dataclass
class Tap:
    """`url` is the engine's address. `requests` has the path of each request, `credentials` those that came with them."""

    url: str = ""
    requests: list[str] = field(default_factory=list)
    credentials: list[dict[str, str]] = field(default_factory=list)


class ThreadingUnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """An HTTP server at a socket."""

    daemon_threads = True

    def get_request(self) -> tuple[Any, Any]:
        request, _ = super().get_request()
        return request, ("local", 0)


def make_handler(tap: Tap) -> type[BaseHTTPRequestHandler]:
    """The engine pulls, resolves and updates with any credentials, and has a registry that requires some."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            tap.requests.append(self.path)
            header = self.headers.get("X-Registry-Auth")
            if header:
                tap.credentials.append(json.loads(base64.urlsafe_b64decode(header)))
            status, body = find_answer(self.path, bool(header))
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            """Keep the terminal quiet."""

    return Handler


def find_answer(path: str, has_credentials: bool) -> tuple[int, dict[str, Any]]:
    if path.endswith("/version"):
        return 200, {"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10.24"}
    if path.endswith("/update") or "/services/" in path:
        return 200, {"Warnings": None}
    if not has_credentials:
        return 500, {"message": "Head https://registry/v2/app/manifests/1: no basic auth credentials"}
    return 200, {"Descriptor": {"digest": DIGEST}} if "/distribution/" in path else {"status": "Pulled"}


@contextmanager
def serve(tap: Tap, server: socketserver.BaseServer) -> Iterator[Tap]:
    with server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield tap
        finally:
            server.shutdown()


@contextmanager
def tap_socket(path: Path) -> Iterator[Tap]:
    tap = Tap(f"unix://{path}")
    with serve(tap, ThreadingUnixServer(str(path), make_handler(tap))):
        yield tap


@contextmanager
def tap_port(context: ssl.SSLContext | None = None) -> Iterator[Tap]:
    """Listen on a free port of the loopback, with TLS if a context is given."""
    tap = Tap()
    server = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(tap))
    tap.url = f"tcp://127.0.0.1:{server.server_address[1]}"
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with serve(tap, server):
        yield tap

"""Receivers for tests, on the loopback: an HTTP server that keeps what it gets, and a mail server."""

import http.server
import json
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from standardwebhooks.webhooks import Webhook


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def id(self):
        return self.headers["webhook-id"]

    def verify(self, key):
        """Return the payload if the signature is right, as the library of Standard Webhooks judges."""
        return Webhook(key).verify(self.body, self.headers)


@dataclass
class Sink:
    """`answers` are given one after the other, the last one for ever: a status, or a status with headers and body."""

    address: str = ""
    received: list[Received] = field(default_factory=list)
    answers: list = field(default_factory=lambda: [200])
    is_open: threading.Event = field(default_factory=threading.Event)  # while it is clear, no answer is sent

    def next_answer(self):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer if isinstance(answer, tuple) else (answer, {}, b"taken")


@contextmanager
def serve_sink():
    sink = Sink()
    sink.is_open.set()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            sink.received.append(Received(self.path, headers, body))
            sink.is_open.wait(30)
            status, more, answer = sink.next_answer()
            with suppress(ConnectionError):  # of a sender that has given up
                self.send_response(status)
                for name, value in {"Content-Length": str(len(answer)), **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

        do_GET = do_POST

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    sink.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        sink.is_open.set()
        server.shutdown()
        server.server_close()
        thread.join()

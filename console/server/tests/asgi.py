"""The other side of an ASGI application: a client and a server in one."""

import asyncio


def make_scope(method="POST", path="/", query=b"", headers=(), **more):
    """`headers` is a sequence of pairs of text."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        "client": ("192.0.2.7", "4711"),
        "server": ("127.0.0.1", "8000"),
        **more,
    }


class Client:
    """Sends `pieces` of a body, then ends it, or stops (`stalls`), or leaves (`leaves`). Collects what is sent to it."""

    def __init__(self, *pieces, stalls=False, leaves=False):
        self.pieces, self.stalls, self.leaves = list(pieces), stalls, leaves
        self.received = 0  # bytes that the application took
        self.sent_after = None  # of them, before the answer began
        self.sent = []
        self.gone = None

    async def receive(self):
        if self.pieces:
            piece = self.pieces.pop(0)
            self.received += len(piece)
            return {"type": "http.request", "body": piece, "more_body": True}
        if self.stalls:
            await asyncio.Event().wait()
        if self.leaves:
            return {"type": "http.disconnect"}
        self.stalls = True  # what follows the body is the client's hanging up
        return {"type": "http.request", "body": b"", "more_body": False}

    def send(self, message):
        if not self.sent:
            self.sent_after = self.received
        self.sent.append(message)
        return asyncio.sleep(0) if running() else None

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def headers(self):
        return dict(self.sent[0]["headers"])

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.sent[1:])


def running():
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

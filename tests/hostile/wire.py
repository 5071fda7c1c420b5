"""Raw HTTP/1.1 connections for attackers and for the holder of a link. They need nothing but Python, so that a process of them
starts at once."""

import asyncio
import contextlib
import itertools
import re
import socket
import struct
import time
from dataclasses import dataclass, field

STATUS_LINE = re.compile(rb"(?:^|\n|\})HTTP/1\.[01] (\d{3})")  # an answer of JSON ends without a line break
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
REQUEST_ID = re.compile(rb"\r\nx-request-id: *([^\r]+)", re.IGNORECASE)
HOST = "127.0.0.1"
PATIENCE = 15.0  # seconds until an answer
ATTACKERS = itertools.cycle(f"127.0.0.{last}" for last in range(2, 6))  # 28,000 ports each


def build_head(method: str, path: str, *headers: str) -> bytes:
    """Return the head of a request, with a Host header."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {HOST}", *headers, "", ""]).encode("latin-1")


def build_request(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    """Return a whole request. A body gets its Content-Length."""
    length = [f"Content-Length: {len(body)}"] if body or method in {"POST", "PUT", "PATCH"} else []
    return build_head(method, path, *length, *headers) + body


def read_statuses(data: bytes) -> list[int]:
    """Return the statuses of all answers in what a connection received."""
    return [int(status) for status in STATUS_LINE.findall(data)]


def make_socket(source: str, receive_buffer: int = 0) -> socket.socket:
    """Return a socket that has this address, and a small receive buffer if a size is given."""
    made = socket.socket()
    if receive_buffer:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    made.bind((source, 0))
    return made


def open_socket(port: int, receive_buffer: int = 0) -> socket.socket:
    """Return an attacker's connected socket that does not block."""
    client = make_socket(next(ATTACKERS), receive_buffer)
    client.connect((HOST, port))
    client.setblocking(False)
    return client


@dataclass
class Connection:
    """One connection. `received` is all that came from the console, `began` the moment of its start on the loop's clock."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    began: float = field(default_factory=time.monotonic)
    received: bytes = b""

    @property
    def age(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.began

    def send(self, data: bytes) -> None:
        """Give data to the kernel, or keep it until the console takes it. What cannot be sent any more is dropped."""
        if not self.writer.transport.is_closing():
            self.writer.write(data)

    async def read_answer(self) -> int:
        """Return the status of the next answer after reading it whole; 0 if the connection ended before that."""
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            head = await self.reader.readuntil(b"\r\n\r\n")
            found = LENGTH.search(head)
            self.received = head + (await self.reader.readexactly(int(found[1])) if found else b"")
            return read_statuses(head)[0]
        return 0

    async def read_until_end(self, seconds: float) -> bool:
        """Read until the console ends the connection. Return whether it did within so many seconds."""
        return await self._read(seconds, seconds)

    async def read_until_quiet(self, seconds: float, quiet: float) -> bool:
        """The same, but return also when nothing has come for `quiet` seconds after an answer."""
        return await self._read(seconds, quiet)

    async def _read(self, seconds: float, quiet: float) -> bool:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                piece = await asyncio.wait_for(self.reader.read(65536), min(left, quiet) if self.received else left)
            except TimeoutError:
                return False
            except OSError:
                return True
            if not piece:
                return True
            self.received += piece
        return False

    def reset(self) -> None:
        """End the connection at once, so that the console gets an RST."""
        raw = self.writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.transport.abort()


async def connect(port: int, source: str = "") -> Connection:
    """Connect from the next of the attackers' addresses, or from the one that is given. Raises OSError."""
    began = time.monotonic()
    client = make_socket(source or next(ATTACKERS))
    client.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(client, (HOST, port))
        reader, writer = await asyncio.open_connection(sock=client, limit=2**20)
    except BaseException:
        client.close()
        raise
    return Connection(reader, writer, began)


async def exchange(port: int, request: bytes, source: str = "") -> tuple[int, bytes]:
    """Send one request on a connection of its own. Return the status and the answer; 0 and nothing if none comes in time."""
    connection = await connect(port, source)
    try:
        connection.send(request)
        async with asyncio.timeout(PATIENCE):
            return await connection.read_answer(), connection.received
    except TimeoutError:
        return 0, b""
    finally:
        connection.close()

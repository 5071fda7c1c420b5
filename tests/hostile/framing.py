"""Attacks with where one request ends and the next begins: pipelines, and requests that two programs read differently.

Each shape is on a connection of its own. Behind what is no request, or one that must end the connection, comes another request,
to SMUGGLED: it must not be answered, and the console's log must not name it.
"""

import asyncio
from dataclasses import dataclass

from tests.hostile.bodies import WRONG_LINK
from tests.hostile.tally import Tally, Target, attack
from tests.hostile.wire import REQUEST_ID, build_head, build_request, connect, read_statuses

SMUGGLED = "/smuggled"
NEXT = f"GET {SMUGGLED} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
PIPELINE = 1000
PIPELINE_PATIENCE = 30.0  # seconds
PATIENCE = 12.0  # seconds; whoever sends no whole head is cut after 10
QUIET = 0.7  # seconds without data, after which an answer is complete


@dataclass(frozen=True)
class Shape:
    """`answers` is the most that may come."""

    what: str
    data: bytes
    answers: int = 1


def post(*headers: str, version: str = "1.1") -> bytes:
    """Return the head of a POST with just these headers and Host."""
    return build_head("POST", WRONG_LINK, *headers).replace(b"HTTP/1.1", b"HTTP/" + version.encode(), 1)


def get(*lines: str) -> bytes:
    return "\r\n".join(["GET /healthz HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode("latin-1")


def list_shapes() -> list[Shape]:
    chunk, end = b"5\r\nhello\r\n", b"0\r\n\r\n"
    in_body = b"%x\r\n" % len(NEXT) + NEXT + b"\r\n"
    refused = {
        "length and chunked": post("Content-Length: 5", "Transfer-Encoding: chunked") + end + NEXT,
        "chunked and length": post("Transfer-Encoding: chunked", f"Content-Length: {len(end + NEXT)}") + end + NEXT,
        "chunked twice": post("Transfer-Encoding: chunked, chunked") + chunk + end + NEXT,
        "chunked and something": post("Transfer-Encoding: chunked, identity") + chunk + end + NEXT,
        "an unknown coding": post("Transfer-Encoding: xchunked") + end + NEXT,
        "a coding behind a tab": post("Transfer-Encoding:\tchunked\t", "Content-Length: 3") + end + NEXT,
        "a coding with a control character": post("Transfer-Encoding: \x0bchunked") + end + NEXT,
        "a space before the colon": post("Transfer-Encoding : chunked") + end + NEXT,
        "a name with a space": get("X Y: a") + NEXT,
        "two lengths": post("Content-Length: 5", "Content-Length: 6") + b"hello" + NEXT,
        "two lengths in one": post("Content-Length: 5, 6") + b"hello" + NEXT,
        "a length with a sign": post("Content-Length: +5") + b"hello" + NEXT,
        "a length below zero": post("Content-Length: -5") + b"hello" + NEXT,
        "a length in hexadecimal": post("Content-Length: 0x5") + b"hello" + NEXT,
        "a length without end": post("Content-Length: 9" + "9" * 30) + b"hello" + NEXT,
        "a length in other digits": post("Content-Length: \xb2") + b"hello" + NEXT,
        "an empty length": post("Content-Length:") + NEXT,
        "a folded header": get("X-Folded: a", " Transfer-Encoding: chunked") + NEXT,
        "a folded coding": post("Transfer-Encoding:", " chunked") + end + NEXT,
        "a bare CR": get("X-Bare: a\rTransfer-Encoding: chunked") + NEXT,
        "a NUL in a header": get("X-Nul: a\x00b") + NEXT,
        "no colon": get("Nothing") + NEXT,
        "an empty name": get(": a") + NEXT,
        "chunked in HTTP/1.0": post("Transfer-Encoding: chunked", version="1.0") + end + NEXT,
        "HTTP/1.0": get().replace(b"HTTP/1.1", b"HTTP/1.0", 1) + NEXT,
        "HTTP/1.2": get().replace(b"HTTP/1.1", b"HTTP/1.2", 1) + NEXT,
        "HTTP/0.9": b"GET /healthz\r\n\r\n" + NEXT,
        "no version": b"GET /healthz \r\nHost: a\r\n\r\n" + NEXT,
        "a chunk size with a sign": post("Transfer-Encoding: chunked") + b"+5\r\nhello\r\n" + end + NEXT,
        "a chunk size in two parts": post("Transfer-Encoding: chunked") + b"5 1\r\nhello\r\n" + end + NEXT,
        "a chunk size with 0x": post("Transfer-Encoding: chunked") + b"0x5\r\nhello\r\n" + end + NEXT,
        "a chunk size that overflows": post("Transfer-Encoding: chunked") + b"f" * 17 + b"\r\nhello\r\n" + end + NEXT,
        "a chunk longer than said": post("Transfer-Encoding: chunked") + b"3\r\nhello\r\n" + end + NEXT,
        "huge chunk extensions": post("Transfer-Encoding: chunked") + b"5;" + b"a" * 200_000 + b"\r\nhello\r\n" + end + NEXT,
        "chunk extensions without end": post("Transfer-Encoding: chunked") + b"1;a\r\nx\r\n" * 40_000 + end + NEXT,
        "huge trailers": post("Transfer-Encoding: chunked") + chunk + b"0\r\n" + b"X-T: a\r\n" * 20_000 + b"\r\n" + NEXT,
        "a body that is a request": post(f"Content-Length: {len(NEXT)}", "Connection: close") + NEXT,
        "a chunk that is a request": post("Transfer-Encoding: chunked", "Connection: close") + in_body + end,
        "close, and more": get("Connection: close") + NEXT,
        "junk": b"\x00\xff" * 300 + b"\r\n\r\n" + NEXT,
        "a method without end": b"G" * 50_000 + b" / HTTP/1.1\r\n\r\n" + NEXT,
    }
    # One request, read in whichever way, and behind it another whole one that has a right to be answered.
    follow = get("X-Request-ID: the-request-behind")
    answered = {
        "the same length twice": post("Content-Length: 5", "Content-Length: 5") + b"hello",
        "bare LF": b"GET /healthz HTTP/1.1\nHost: 127.0.0.1\n\n",
        "a GET with a body": get("Content-Length: 5") + b"hello",
        "trailers": post("Transfer-Encoding: chunked") + chunk + b"0\r\nContent-Length: 99\r\nX-T: a\r\n\r\n",
        "chunk extensions": post("Transfer-Encoding: chunked") + b'5;a="b"\r\nhello\r\n' + end,
        "upper case": post("TRANSFER-ENCODING: CHUNKED") + chunk + end,
        "a whole address": b"GET http://evil.example/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "CONNECT": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n",  # refused, so HTTP goes on
        "the address *": b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
        "two hosts": get("Host: evil.example"),
        "100-continue": post("Content-Length: 5", "Expect: 100-continue") + b"hello",
        "an odd expectation": post("Content-Length: 5", "Expect: tea") + b"hello",
        "an unread body": post("Content-Length: 5").replace(b"POST", b"DELETE", 1) + b"hello",
        "a HEAD": get().replace(b"GET", b"HEAD", 1),
        "empty lines before": b"\r\n\r\n" + get(),
    }
    shapes = [Shape(what, data) for what, data in refused.items()]
    return shapes + [Shape(what, data + follow, 2) for what, data in answered.items()]


@attack
async def framing(target: Target, tally: Tally) -> None:
    """All shapes at once, and pipelines beside them."""

    async def try_shape(shape: Shape) -> None:
        connection = await connect(target.port)
        connection.send(shape.data)
        await connection.read_until_quiet(PATIENCE, QUIET)
        connection.close()
        statuses = read_statuses(connection.received.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b""))
        for status in statuses or [0]:
            tally.count(status)
        if len(statuses) > shape.answers or any(status >= 500 and status not in {501, 505} for status in statuses):
            tally.note(f"{shape.what}: {statuses}")

    shapes = list_shapes()
    tally.connections = tally.requests = len(shapes)
    await asyncio.gather(pipeline(target, tally), pipeline_junk(target, tally), *map(try_shape, shapes))


async def pipeline(target: Target, tally: Tally) -> None:
    """A thousand requests in one connection. Their answers must come in order."""
    connection = await connect(target.port)
    names = [f"pipelined-{number:05}" for number in range(PIPELINE)]
    connection.send(b"".join(build_request("GET", "/healthz", b"", f"X-Request-ID: {name}") for name in names[:-1]))
    connection.send(build_request("GET", "/healthz", b"", f"X-Request-ID: {names[-1]}", "Connection: close"))
    await connection.read_until_end(PIPELINE_PATIENCE)
    connection.close()
    tally.requests += PIPELINE
    found = [name.decode() for name in REQUEST_ID.findall(connection.received)]
    if found != names:
        tally.note(f"Of {PIPELINE} pipelined requests, {len(found)} were answered, in order: {found == names[: len(found)]}.")


async def pipeline_junk(target: Target, tally: Tally) -> None:
    """A hundred requests, and then no request any more."""
    connection = await connect(target.port)
    connection.send(get() * 100 + b"\r\n\r\n\x00 junk \xff" * 100 + NEXT)
    await connection.read_until_end(PIPELINE_PATIENCE)
    connection.close()
    tally.requests += 100
    statuses = read_statuses(connection.received)
    if statuses[:100] != [200] * 100 or any(status != 400 for status in statuses[100:]) or len(statuses) > 101:
        tally.note(f"Of 100 requests before junk, {len(statuses)} were answered: {statuses[99:]}.")

"""Attacks with bodies: stalled, slow, many large ones, and bodies that take time to unpack or to parse."""

import asyncio
import gzip
import itertools
import time

from tests.hostile.tally import Tally, Target, attack, report_up
from tests.hostile.wire import Connection, build_head, build_request, connect, exchange

JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"
MULTIPART = "Content-Type: multipart/form-data; boundary=b"
GZIP = "Content-Encoding: gzip"
# Of no trigger, but of the right form.
WRONG_URL = "/hook/trigger?triggerUrl=YXxifHJlZGVwbG95fDAwMDAwMDAwMDAwMDB8"
WRONG_LINK = f"{WRONG_URL}&secret={'0' * 64}"
WRONG_REGISTRY = f"/hook/registry/{'0' * 48}"
PATHS = ("/hook/trigger", WRONG_LINK, WRONG_REGISTRY, "/login/", "/api/v1/triggers/", "/healthz")

STALLED = 300
STALLED_PATIENCE = 20.0  # seconds; the console says that it ends them after 10
SLOW_PATIENCE = 40.0  # seconds; the console says that it ends each body after 30 at the latest
BIG = 300
BIG_SIZE = 2 * 1024 * 1024  # bytes
SMALLER, SMALLER_SIZE = 1300, 60_000  # below what is read for anyone, and more than fits into the memory for bodies
SECONDS = 2.5
ARRIVAL_SECONDS = 1.5  # in which the clients with large bodies come
LISTS = b'{"a":[' + b",".join([b"[]"] * 699_000) + b"]}"  # 2 MB
LISTS_GZIP = gzip.compress(LISTS, 9)  # 2 kB


@attack
async def stalled_bodies(target: Target, tally: Tally) -> None:
    """Heads that promise ten bytes, and nothing after that."""
    connections = await asyncio.gather(*(connect(target.port) for _ in range(STALLED)))
    for connection, path in zip(connections, itertools.cycle(PATHS)):
        connection.send(build_head("POST", path, JSON, "Content-Length: 10"))
    tally.connections = tally.requests = STALLED
    report_up()
    await asyncio.gather(*(wait_for_answer(connection, tally, STALLED_PATIENCE) for connection in connections))


async def wait_for_answer(connection: Connection, tally: Tally, seconds: float) -> None:
    """Count the answer and the connection's age at its end."""
    try:
        async with asyncio.timeout(seconds):
            tally.count(await connection.read_answer())
            await connection.read_until_end(seconds)
            tally.ages.append(connection.age)
    except TimeoutError:
        tally.left_open += 1
    connection.close()


@attack
async def slow_bodies(target: Target, tally: Tally) -> None:
    """Bodies below the least rate, bodies above it that take too long, and slow ones that arrive in time. Half of them state a
    length, and the others are chunked."""
    kinds = {"too slow": (100, 10_000, 408), "too long": (750, 60_000, 408), "in time": (1000, 16_000, 404)}  # bytes each 0.5 s

    async def send_slowly(what: str, is_chunked: bool) -> None:
        piece, size, wanted = kinds[what]
        connection = await connect(target.port)
        length = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {size}"
        connection.send(build_head("POST", WRONG_LINK, JSON, length))
        answer = asyncio.create_task(wait_for_answer_of(what, connection, wanted))
        for _ in range(0, size, piece):
            data = b" " * piece
            connection.send(b"%x\r\n%s\r\n" % (piece, data) if is_chunked else data)
            done, _ = await asyncio.wait([answer], timeout=0.5)
            if done:
                break
        else:
            connection.send(b"0\r\n\r\n" if is_chunked else b"")
        await answer

    async def wait_for_answer_of(what: str, connection: Connection, wanted: int) -> None:
        try:
            async with asyncio.timeout(SLOW_PATIENCE):
                status = await connection.read_answer()
        except TimeoutError:
            tally.left_open += 1
            return
        tally.count(status)
        if wanted == 408:
            tally.ages.append(connection.age)
        if status != wanted and (status, wanted) != (503, 408):  # given up for memory, because others send so much
            tally.note(f"A body that is {what} was answered with {status} after {connection.age:.1f} s.")
        connection.close()

    work = [asyncio.create_task(send_slowly(what, number % 2 == 1)) for what in kinds for number in range(25)]
    tally.connections = tally.requests = len(work)
    await asyncio.sleep(1)
    report_up()
    await asyncio.gather(*work)


@attack
async def big_bodies(target: Target, tally: Tally) -> None:
    """Bodies of 2 MB without the last byte, by clients who have no link."""
    await send_big_bodies(target, tally, WRONG_LINK, BIG, BIG_SIZE)


@attack
async def middling_bodies(target: Target, tally: Tally) -> None:
    """Bodies without the last byte that are small enough to be read for anyone, and too many for the memory that bodies get."""
    await send_big_bodies(target, tally, WRONG_LINK, SMALLER, SMALLER_SIZE)


@attack
async def big_bodies_with_a_link(target: Target, tally: Tally) -> None:
    """The same with a valid link, as if one had leaked: now all of a body is read."""
    await send_big_bodies(target, tally, target.link, BIG, BIG_SIZE)


async def send_big_bodies(target: Target, tally: Tally, path: str, number: int, size: int) -> None:
    body = b" " * (size - 1)
    deadline = time.monotonic() + SECONDS

    async def send(place: int) -> None:
        await asyncio.sleep(ARRIVAL_SECONDS * place / number)
        connection = await connect(target.port)
        tally.connections += 1
        if place % 2:
            connection.send(build_head("POST", path, JSON, "Transfer-Encoding: chunked") + b"%x\r\n" % size)
        else:
            connection.send(build_head("POST", path, JSON, f"Content-Length: {size}"))
        connection.send(body)
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + max(deadline - time.monotonic(), 0)):
                tally.count(await connection.read_answer())
        except TimeoutError:
            tally.left_open += 1
        connection.close()

    await asyncio.gather(*map(send, range(number)))
    await asyncio.sleep(max(deadline - time.monotonic(), 0))
    tally.requests = tally.connections


def build_bombs() -> dict[str, bytes]:
    """Return requests by name whose bodies are small and take long to unpack or to parse, of senders without a secret or with a
    wrong one."""
    secret = f"X-Trigger-Secret: {'0' * 64}"
    return {
        "gzip, no secret": build_request("POST", "/hook/trigger", LISTS_GZIP, JSON, GZIP),
        "gzip, wrong secret": build_request("POST", WRONG_LINK, LISTS_GZIP, JSON, GZIP),
        "gzip, wrong secret in the header": build_request("POST", WRONG_URL, LISTS_GZIP, JSON, GZIP, secret),
        "gzip, wrong registry": build_request("POST", WRONG_REGISTRY, LISTS_GZIP, JSON, GZIP),
        "plain, no secret": build_request("POST", "/hook/trigger", LISTS[:60_000], JSON),
        "plain, wrong secret": build_request("POST", WRONG_LINK, LISTS[:60_000], JSON),
    }


@attack
async def bombs(target: Target, tally: Tally) -> None:
    """Eight senders, each of whom waits a twentieth of a second between two requests."""
    await send_in_turn(target, tally, list(build_bombs().values()), senders=8, pause=0.05)


@attack
async def costly_bodies(target: Target, tally: Tally) -> None:
    """Deep JSON, forms with thousands of fields, and multiparts with thousands of parts, at links, the sign-in and the API."""
    part = b'--b\r\nContent-Disposition: form-data; name="f%d"\r\n\r\nx\r\n'
    bodies = (
        (JSON, b"[" * 60_000),
        (JSON, b'{"a":' * 12_000),
        (JSON, b'{"secret":' + b"9" * 60_000 + b"}"),
        (JSON, b'{"triggerUrl":"' + b"\\u0041" * 600 + b'"}'),
        (FORM, b"&".join(b"f%d=x" % number for number in range(8_000))),
        (FORM, b"secret=" + b"%41" * 20_000),
        (FORM, b"&" * 4_000),
        (MULTIPART, b"".join(part % number for number in range(1_000)) + b"--b--\r\n"),
        (MULTIPART, b"".join(part % number for number in range(60)) + b"--b--\r\n"),
        (MULTIPART, b"--b\r\n" * 800),
        (MULTIPART, b"--b\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n" + b"x" * 60_000),
    )
    paths = ("/hook/trigger", WRONG_LINK, WRONG_REGISTRY, "/login/", "/api/v1/triggers/", "/api/v1/calls/")
    requests = [build_request("POST", path, body, kind) for path in paths for kind, body in bodies]
    await send_in_turn(target, tally, requests, senders=2, pause=0.02)


async def send_in_turn(target: Target, tally: Tally, requests: list[bytes], senders: int, pause: float) -> None:
    """Let each sender send the next request of all, until SECONDS are over and each request has been sent."""
    turn = itertools.cycle(requests)
    deadline = time.monotonic() + SECONDS

    async def send() -> None:
        while time.monotonic() < deadline or tally.requests < len(requests):
            tally.requests += 1
            tally.connections += 1
            request = next(turn)
            status, _ = await exchange(target.port, request)
            tally.count(status)
            if not 400 <= status < 500:
                tally.note(f"{request[:60]!r} was answered with {status}.")
            await asyncio.sleep(pause)

    await asyncio.gather(*(send() for _ in range(senders)))

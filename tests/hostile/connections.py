"""Attacks with connections: heads that come slowly or never, many idle connections, clients that never read, and churn."""

import asyncio
import contextlib
import itertools
import re
import resource
import socket
import time

from tests.hostile.bodies import WRONG_LINK, WRONG_REGISTRY
from tests.hostile.tally import Tally, Target, attack, report_up
from tests.hostile.wire import Connection, build_head, build_request, connect, exchange, open_socket

PATIENCE = 20.0  # seconds in which the console must end a connection without a whole head; it says that it does after 10
SLOW_HEADS = 450
IDLE = 10_000
NON_READERS = 200  # of each kind
NON_READERS_PATIENCE = 38.0  # seconds; the console says that it ends them after 30
NON_READERS_BUFFER = 16 * 1024  # bytes, more than fit into the buffer of such a client
CHURN_SECONDS = FLOOD_SECONDS = 2.5
FLOOD, GUESSERS = 100, 32  # connections


@attack
async def slow_heads(target: Target, tally: Tally) -> None:
    """A third sends a byte a second, a third stops in the middle of a head, and a third never begins."""
    connections = await asyncio.gather(*(connect(target.port) for _ in range(SLOW_HEADS)))
    tally.connections = SLOW_HEADS
    report_up()
    third = SLOW_HEADS // 3
    for connection in connections[:third]:
        connection.send(b"GET /hook/trigger HTTP/1.1\r\nX-Slow: ")
    for connection in connections[third : 2 * third]:
        connection.send(b"POST /hook/trigger HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le")
    slow = [asyncio.create_task(drip_head(connection)) for connection in connections[:third]]
    await asyncio.gather(*(wait_for_end(connection, tally, PATIENCE) for connection in connections))
    for task in slow:
        task.cancel()


async def drip_head(connection: Connection) -> None:
    while True:
        await asyncio.sleep(1)
        connection.send(b"a")


async def wait_for_end(connection: Connection, tally: Tally, seconds: float) -> None:
    """Count the connection's age at its end. What was answered before does not matter."""
    if await connection.read_until_end(seconds):
        tally.ages.append(connection.age)
    else:
        tally.left_open += 1
    connection.close()


@attack
async def idle(target: Target, tally: Tally) -> None:
    """Ten thousand connections, or as many as this process and the console may have. Half of them have sent half a head."""
    number = min(IDLE, allow_files() - 2500)
    loop = asyncio.get_running_loop()
    began, clients = time.monotonic(), []
    for place in range(number):
        client = open_socket(target.port)
        if place % 2:
            client.send(b"GET /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: ")
        clients.append(client)
        if place % 500 == 0:
            await asyncio.sleep(0)
    tally.connections = number
    report_up()

    async def watch(client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while await loop.sock_recv(client, 4096):
                pass
        tally.ages.append(time.monotonic() - began)

    watchers = [asyncio.create_task(watch(client)) for client in clients]
    _, left = await asyncio.wait(watchers, timeout=PATIENCE)
    tally.left_open = len(left)
    for task in left:
        task.cancel()


def allow_files() -> int:
    """Raise this process's limit of open files as far as the system allows, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1_000_000


@attack
async def non_readers(target: Target, tally: Tally) -> None:
    """Requests for long answers by clients that take nothing: a large file, a part of it, and pages in one connection."""
    requests = (
        build_request("GET", target.bundle),
        build_request("GET", target.bundle, b"", "Range: bytes=0-"),
        build_request("GET", "/login/") * 2,
    )
    clients = []
    for request in requests:
        for _ in range(NON_READERS):
            client = open_socket(target.port, receive_buffer=1024)
            client.send(request)
            clients.append(client)
            tally.requests += request.count(b"GET ")
            await asyncio.sleep(0.002)
    tally.connections = len(clients)
    report_up()
    await asyncio.sleep(NON_READERS_PATIENCE)
    await asyncio.gather(*(drain(client, tally) for client in clients))


async def drain(client: socket.socket, tally: Tally) -> None:
    """Read what is left: of an ended connection only what had arrived. A client that reads nothing notices no end."""
    taken = 0
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(5):
            while piece := await asyncio.get_running_loop().sock_recv(client, 65536):
                taken += len(piece)
    client.close()
    if taken > NON_READERS_BUFFER:
        tally.left_open += 1


@attack
async def churn(target: Target, tally: Tally) -> None:
    """Clients that leave: at once, in the middle of a head or of a body, or before the answer, half of them with an RST."""
    beginnings = (
        b"",
        b"GET /hook/trig",
        build_request("GET", "/login/"),
        build_request("GET", target.bundle),
        build_head("POST", "/hook/trigger", "Content-Length: 1000") + b"{",
        build_request("POST", "/hook/trigger", b"{}"),
    )
    deadline = time.monotonic() + CHURN_SECONDS

    async def come_and_go(place: int) -> None:
        for number in itertools.count(place):
            if time.monotonic() > deadline:
                return
            connection = await connect(target.port)
            connection.send(beginnings[number % len(beginnings)])
            await asyncio.sleep(0.02)
            connection.reset() if number // len(beginnings) % 2 else connection.close()
            tally.connections += 1

    await asyncio.gather(*map(come_and_go, range(8)))


@attack
async def flood(target: Target, tally: Tally) -> None:
    """Whole and plain requests, as fast as they are answered, by a hundred clients at a time."""
    requests = [
        build_request("GET", path) for path in ("/healthz", "/login/", WRONG_LINK, WRONG_REGISTRY, "/", "/api/v1/calls/")
    ]
    deadline = time.monotonic() + FLOOD_SECONDS

    async def ask(place: int) -> None:
        connection = await connect(target.port)
        for number in itertools.count(place):
            if time.monotonic() > deadline:
                break
            connection.send(requests[number % len(requests)])
            tally.count(await connection.read_answer())
            tally.requests += 1
        connection.close()

    tally.connections = FLOOD
    await asyncio.gather(*map(ask, range(FLOOD)))


@attack
async def guesses(target: Target, tally: Tally) -> None:
    """Guessed passwords, by 32 clients at a time, each guess for another name, so that no lock holds them yet. Each guess
    that is checked is hashed, which takes a good part of a second."""
    page = await connect(target.port)
    page.send(build_request("GET", "/login/"))
    await page.read_answer()
    cookie = re.search(rb"set-cookie: ([^=]*csrftoken)=(\w+)", page.received, re.IGNORECASE)
    assert cookie
    page.close()
    name, token = cookie[1].decode(), cookie[2].decode()
    deadline = time.monotonic() + FLOOD_SECONDS

    async def guess(place: int) -> None:
        for number in itertools.count():
            if time.monotonic() > deadline:
                return
            form = f"csrfmiddlewaretoken={token}&username=user-{place}-{number}&password=guess".encode()
            headers = (f"Cookie: {name}={token}", "Content-Type: application/x-www-form-urlencoded")
            status, _ = await exchange(target.port, build_request("POST", "/login/", form, *headers))
            tally.count(status)
            tally.requests += 1

    tally.connections = GUESSERS
    await asyncio.gather(*map(guess, range(GUESSERS)))

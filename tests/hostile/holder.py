"""The holder of a valid link, who asks without pause, and a control server that is asked at the same moments.

Both run in processes of their own: `python -m tests.hostile hold` and `python -m tests.hostile control`. When the machine
stalls, the control server's answers are as late as the console's.
"""

import asyncio
import contextlib
import json
import math
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from tests.hostile.wire import HOST, build_request, exchange

CONTROL_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


@dataclass(frozen=True)
class Ask:
    """What the holder asks again and again. `body` is text."""

    kind: str
    path: str
    per_second: float
    method: str = "GET"
    body: str = ""


@dataclass(frozen=True)
class Sample:
    """One request and its answer. `began` is on the monotonic clock, which all processes share. `status` is 0 if no answer came
    in time. `control` are the seconds until the control server's answer to a request of the same moment."""

    number: int
    began: float
    kind: str
    status: int
    seconds: float
    control: float


def quantile(values: Iterable[float], share: float) -> float:
    """Return the value that `share` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


async def hold(port: int, control_port: int, asks: list[Ask]) -> None:
    """Ask until the process ends. Print two lines of JSON for each request: its number and kind, and at its end the sample."""
    number = 0

    async def ask(what: Ask) -> None:
        nonlocal number
        number = this = number + 1
        headers = [f"X-Request-ID: holder-{this:08}", "User-Agent: curl/8.5.0", "Connection: close"]
        headers += ["Content-Type: application/json"] if what.body else []
        request = build_request(what.method, what.path, what.body.encode(), *headers)
        began = time.monotonic()
        print(json.dumps({"number": this, "kind": what.kind}), flush=True)
        control = asyncio.create_task(measure(control_port, build_request("GET", "/", b"", "Connection: close")))
        status, seconds = await measure(port, request)
        sample = Sample(this, began, what.kind, status, seconds, (await control)[1])
        print(json.dumps(asdict(sample)), flush=True)

    async def repeat(what: Ask, delay: float) -> None:
        due = time.monotonic() + delay
        async with asyncio.TaskGroup() as running:
            while True:
                await asyncio.sleep(max(due - time.monotonic(), 0))
                running.create_task(ask(what))
                due += 1 / what.per_second

    async with asyncio.TaskGroup() as group:
        for place, what in enumerate(asks):
            group.create_task(repeat(what, place / 10 / len(asks)))  # not all at the same moment


async def measure(port: int, request: bytes) -> tuple[int, float]:
    """Return the status and the seconds until the answer was there."""
    began = time.monotonic()
    status = 0
    with contextlib.suppress(OSError):
        status, _ = await exchange(port, request, HOST)
    return status, time.monotonic() - began


async def serve_control() -> None:
    """Answer requests without looking at them. Print the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(CONTROL_ANSWER)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, HOST, 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main(arguments: list[str]) -> None:
    """`control`, or `hold` with a JSON object: port, control_port, asks."""
    if arguments[0] == "control":
        asyncio.run(serve_control())
    else:
        what = json.loads(sys.stdin.readline())
        asyncio.run(hold(what["port"], what["control_port"], [Ask(**ask) for ask in what["asks"]]))

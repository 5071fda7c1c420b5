"""Attacks with heads: cookies and headers without measure, headers with underscores, and protocols that are not spoken."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from tests.hostile.bodies import WRONG_LINK, send_in_turn
from tests.hostile.framing import PATIENCE, QUIET
from tests.hostile.tally import Tally, Target, attack
from tests.hostile.wire import HOST, build_request, connect, exchange, read_statuses

ENDED = 0  # instead of an answer
TOO_LARGE = (431, 400, ENDED)
FORGED = "203.0.113.66"  # must not be taken for anybody's address
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


@dataclass(frozen=True)
class Case:
    """A request, and the statuses that are right for it."""

    what: str
    request: bytes
    wanted: tuple[int, ...]


def pad(size: int) -> str:
    return "a" * size


def list_cases() -> Iterable[Case]:
    cookies = [f"Cookie: c{number}={pad(80)}" for number in range(200)]
    for path, wanted in (("/hook/trigger", 400), (WRONG_LINK, 404), ("/login/", 200), ("/api/v1/triggers/", 401)):
        yield Case(f"a cookie of 9 kB at {path}", build_request("GET", path, b"", f"Cookie: a={pad(9000)}"), (431,))
        yield Case(f"a cookie of 8 kB at {path}", build_request("GET", path, b"", f"Cookie: a={pad(8000)}"), (wanted,))
        many = f"Cookie: {'; '.join(f'c{number}=v' for number in range(900))}"
        yield Case(f"900 small cookies at {path}", build_request("GET", path, b"", many), (wanted, 431))
        yield Case(f"many cookies at {path}", build_request("GET", path, b"", *cookies), TOO_LARGE)
        huge = build_request("GET", path, b"", f"X-Huge: {pad(100_000)}")
        yield Case(f"a header of 100 kB at {path}", huge, TOO_LARGE)
        headers = [f"X-Number-{number}: {pad(50)}" for number in range(200)]
        yield Case(f"200 headers at {path}", build_request("GET", path, b"", *headers), (wanted, *TOO_LARGE))
        yield Case(f"a name of 20 kB at {path}", build_request("GET", path, b"", f"X-{pad(20_000)}: a"), (wanted, *TOO_LARGE))
        forged = (f"X_Forwarded_For: {FORGED}", "Content_Length: 3000000", "Transfer_Encoding: chunked", "Content_Type: a")
        yield Case(f"underscores at {path}", build_request("GET", path, b"", *forged), (wanted,))
    yield Case("an address of 31 kB", build_request("GET", f"/{pad(31_000)}"), (404, 414, *TOO_LARGE))
    yield Case("a query of 31 kB", build_request("GET", f"{WRONG_LINK}&a={pad(31_000)}"), (404, 414, *TOO_LARGE))
    yield Case("an address of 70 kB", build_request("GET", f"/{pad(70_000)}"), (414, *TOO_LARGE))
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
    yield Case("an upgrade to h2c", build_request("GET", "/healthz", b"", *upgrade), (200,))
    socket = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + "a" * 22 + "==")
    yield Case("an upgrade to websocket", build_request("GET", "/healthz", b"", *socket), (200, 400))
    yield Case("h2c without an upgrade", PREFACE + SETTINGS, (400, 505, ENDED))
    yield Case("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), (400, ENDED))
    yield Case("SSH", b"SSH-2.0-OpenSSH_9.2\r\n", (400, ENDED))


@attack
async def odd_heads(target: Target, tally: Tally) -> None:
    """Each case once, then those again that are answered, for some seconds."""

    async def try_case(case: Case) -> None:
        connection = await connect(target.port)
        connection.send(case.request)
        await connection.read_until_quiet(PATIENCE, QUIET)
        connection.close()
        statuses = read_statuses(connection.received) or [ENDED]
        tally.count(statuses[0])
        if len(statuses) > 1 or statuses[0] not in case.wanted or connection.received.startswith(SETTINGS[:4]):
            tally.note(f"{case.what}: {statuses}, {connection.received[:80]!r}")

    cases = list(list_cases())
    await asyncio.gather(*map(try_case, cases))
    await ask_with_forged_address(target, tally)
    again = [case.request for case in cases if case.wanted[0] in {400, 404, 401, 431} and "100 kB" not in case.what]
    tally.requests = tally.connections = len(cases)
    await send_in_turn(target, tally, again, senders=2, pause=0.02)
    tally.problems = [problem for problem in tally.problems if "answered with 0" not in problem]


async def ask_with_forged_address(target: Target, tally: Tally) -> None:
    """The proxy, at the address that is trusted, names the client in X-Forwarded-For, and passes X_Forwarded_For on."""
    headers = (f"X_Forwarded_For: {FORGED}", "X-Forwarded-For: 198.51.100.1", f"X_Forwarded_For: {FORGED}")
    tally.count((await exchange(target.port, build_request("GET", "/login/", b"", *headers), HOST))[0])

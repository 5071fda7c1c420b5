"""Odd requests to every address that answers without a login. What they are is chosen by a seed, and the same each time."""

import asyncio
import itertools
import random
from collections.abc import Iterator

from tests.hostile.bodies import LISTS_GZIP, WRONG_LINK, WRONG_REGISTRY, WRONG_URL
from tests.hostile.tally import Tally, Target, attack
from tests.hostile.wire import HOST, PATIENCE, Connection, build_head, connect, read_statuses

SEED = 20_26
REQUESTS = 1200
SENDERS = 3
ZEROS = "0" * 64

ADDRESSES = (
    "/",
    "/login/",
    "/login/?next=//evil.example/%00",
    "/hook/trigger",
    WRONG_URL,
    WRONG_LINK,
    "/hook/trigger?triggerUrl=%FF%FE&secret=%ED%A0%80",
    "/hook/trigger?" + "a=b&" * 1500,
    WRONG_REGISTRY,
    "/hook/registry/%00%ff%2e%2e%2f",
    "/hook/calls/00000000-0000-0000-0000-000000000000?secret=a",
    "/hook/calls/00000000-0000-0000-0000-000000000000?secret=a&wait=9999999999999999999999",
    "/hook/",
    "/api/",
    "/api/schema/",
    "/api/schema/?format=json&lang=../../etc/passwd",
    "/api/schema/?version=%00",
    "/api/v1/triggers/",
    "/api/v1/calls/?limit=-1&offset=99999999999999999999999",
    "/api/v1/clusters/%00/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/static/",
    "/static/../../../etc/passwd",
    "/static/%2e%2e/%2e%2e/secret.key",
    "/static/%00.js",
    "/admin/login/?next=%00",
    "/admin/",
    "/logout/",
    "/theme/",
    "/password/",
    "/applications/99999999999999999999999999/",
    "/clusters/%F0%9F%92%A9/",
    "/%",
    "/%zz%1",
    "/%c0%af%ed%a0%80",
    "//evil.example/%0d%0aX-Injected:%20a",
    "/a/../b/./c;d=e",
    "/?" + "%00" * 100,
    "/" + "a/" * 4000,
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "get", "A" * 40)
CHARSETS = (
    "undefined",
    "base64",
    "idna",
    "utf-7",
    "utf-16",
    "punycode",
    "rot13",
    "unicode_escape",
    "zip",
    "\xff",
    "x" * 500,
    "",
)
BODIES = (
    b"",
    b"{}",
    b'{"secret":"\\ud800","triggerUrl":"\\udfff"}',
    b'{"triggerUrl":["a"],"secret":{"b":1}}',
    b'{"secret":1e999999,"wait":NaN,"step":-Infinity}',
    b'{"username":"\x00","password":"\x00"}',
    b"username=%00&password=%ed%a0%80&csrfmiddlewaretoken=%ff",
    b"secret=%ED%A0%80&triggerUrl=%00&wait=%D9%A1",
    b"payload=%7B%22secret%22%3A%22%5Cud800%22%7D",
    b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf{}",
    b"+AHsAfQ-",
    b"[" * 5000,
    b'--b\r\nContent-Disposition: form-data; name="secret"; filename="\xff\x00"\r\n\r\n',
    b'--b\r\nContent-Disposition: form-data; name="secret"\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!\r\n--b--\r\n',
    b"--b\r\nContent-Type: a; charset=undefined\r\nContent-Disposition: form-data; name*=undefined''%ff\r\n\r\nx\r\n--b--",
    b"--\r\n\r\n--b--b--b",
    LISTS_GZIP,
    b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
)
TYPES = (
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "multipart/form-data",
    "multipart/form-data; boundary=\xff\xfe",
    f"multipart/form-data; boundary={'b' * 300}",
    "text/html",
    "a",
    "/;;;=,",
    "\xff/\xff; charset",
    "application/json; charset=" + "; charset=".join(("utf-8", "undefined")),
)
HEADERS = (
    "Accept: text/html",
    "Accept: application/yaml;q=x, */*;q=2, a/b; version=\xff",
    "Accept: " + ",".join(["a/b;c=d"] * 500),
    "Accept: \x7f",
    "Accept-Encoding: gzip;q=x,br,\xff",
    "Accept-Language: " + "a" * 300 + ",*;q=9",
    "Authorization: Token \xff\xfe",
    "Authorization: Token a b c",
    "Authorization: Token wl_\xff\xfe",
    "Authorization: Bearer wl_' OR 1=1 --",
    f"Authorization: Bearer wl_{'0' * 8000}",
    "Authorization: Basic !!!!",
    "Authorization: Bearer \x80",
    "Content-Encoding: gzip",
    "Content-Encoding: zip, gzip, br",
    "Cookie: sessionid=\xff\xfe; csrftoken=\x80; theme=<>",
    "Cookie: sessionid=" + "a" * 4000,
    'Cookie: ;;;=;a;=b;"',
    "Cookie: messages=\xff; cluster=%00",
    'Forwarded: for="_gazonk"',
    "HX-Request: true",
    "HX-Current-URL: http://[::1",
    "If-Modified-Since: Thu, 99 Xxx 99999 99:99:99 GMT",
    'If-None-Match: W/"\xff',
    "Idempotency-Key: \xff" + "a" * 5000,
    "Origin: null",
    "Origin: http://[evil",
    "Range: bytes=-99999999999999999999999",
    "Range: bytes=5-1,\xff",
    "Referer: http://[evil",
    "X-Forwarded-For: " + ",".join(["1.2.3.4"] * 500),
    "X-Forwarded-For: \xff, ::ffff:1.2.3.4%eth0, [::1]:80",
    "X-Forwarded-Proto: https, http",
    "X-Forwarded-Host: evil.example",
    "X-HTTP-Method-Override: DELETE",
    "X-Request-ID: \xff\xfe' \"",
    "X-Trigger-Secret: \xff\xfe",
    f"X-Trigger-Secret: {ZEROS}",
    "X-Hub-Signature-256: sha256=\xff",
    "X-GitHub-Event: ping",
)
ODD_HOSTS = ("127.0.0.1:99999999", "evil.example", "", "[::1", "a" * 400, "\xff", "127.0.0.1, evil.example", "xn--\x80.", "a_b")


def list_requests() -> Iterator[tuple[str, bytes]]:
    """Return the method of each request and its bytes. Each address, method, charset and so on comes often."""
    chance = random.Random(SEED)
    addresses = itertools.cycle(ADDRESSES)
    for _ in range(REQUESTS):
        method = chance.choice(METHODS[:2] if chance.random() < 0.6 else METHODS)
        kind = chance.choice(TYPES)
        if chance.random() < 0.5:
            kind = f"{kind}; charset={chance.choice(CHARSETS)}"
        headers = [f"Content-Type: {kind}", *chance.sample(HEADERS, chance.randrange(4))]
        body = b"" if method in {"GET", "HEAD"} and chance.random() < 0.7 else chance.choice(BODIES)
        if chance.random() < 0.8:
            headers.append(f"Content-Length: {len(body)}")
        else:
            headers.append("Transfer-Encoding: chunked")
            body = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
        head = build_head(method, next(addresses), *headers)
        host = HOST if chance.random() < 0.8 else chance.choice(ODD_HOSTS)
        yield method, head.replace(f"Host: {HOST}".encode(), f"Host: {host}".encode("latin-1"), 1) + body


@attack
async def fuzz(target: Target, tally: Tally) -> None:
    """Send each request on a connection of its own."""
    requests = list_requests()

    async def send() -> None:
        for method, request in requests:
            connection = await connect(target.port)
            connection.send(request)
            try:
                async with asyncio.timeout(PATIENCE):
                    status = await (read_head(connection) if method == "HEAD" else connection.read_answer())
            except TimeoutError:
                tally.note(f"No answer to {request[:400]!r}")
                status = 0
            connection.close()
            tally.requests += 1
            tally.count(status)
            if status >= 500:
                tally.note(f"{status} for {request[:400]!r}")

    await asyncio.gather(*(send() for _ in range(SENDERS)))
    tally.connections = tally.requests


async def read_head(connection: Connection) -> int:
    """Return the status of an answer that has no body, whatever its length says."""
    try:
        return read_statuses(await connection.reader.readuntil(b"\r\n\r\n"))[0]
    except (OSError, asyncio.IncompleteReadError):
        return 0

"""What the web process does with requests and answers of every form, over real connections."""

import http.client
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from console.server.granian_server import HEAD_SECONDS
from tests.harness.console import RunningConsole, run_console, sign_in
from tests.harness.eventually import eventually

UNKNOWN_LINK = {"triggerUrl": "eyJpZCI6ImFiYyJ9", "secret": "0" * 64}
MAKE_LINK = """
from clusters.models import Application, Cluster
from triggers.models import Trigger
from triggers.selectors import build_trigger_link
cluster, _ = Cluster.objects.get_or_create(name="unreachable", defaults={"url": "unix:///nonexistent.sock"})
application, _ = Application.objects.get_or_create(cluster=cluster, name="shop", source="compose")
print(build_trigger_link(Trigger.objects.create(application=application, action="redeploy"), ""))
"""


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with run_console(tmp_path_factory.mktemp("web") / "data", "unix:///nonexistent.sock") as running:
        yield running


def connect(console: RunningConsole) -> socket.socket:
    address = urlsplit(console.url)
    return socket.create_connection((address.hostname, address.port), timeout=60)


def exchange(console: RunningConsole, *requests_: bytes) -> bytes:
    """Send the requests over one connection, and return all answers. The last request must close it."""
    with connect(console) as connection:
        connection.sendall(b"".join(requests_))
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def head(console: RunningConsole, line: str, *headers: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", f"Host: {urlsplit(console.url).netloc}", *headers, "", ""]).encode()


def test_head_has_the_headers_alone(console: RunningConsole) -> None:
    got, asked = requests.get(f"{console.url}/healthz", timeout=60), requests.head(f"{console.url}/healthz", timeout=60)
    assert (asked.status_code, asked.content, asked.headers["content-length"]) == (200, b"", got.headers["content-length"])


def test_a_static_file_comes_whole_and_not_twice(console: RunningConsole) -> None:
    page = requests.get(f"{console.url}/login/", timeout=60).text
    path = next(part for part in page.split('"') if part.startswith("/static/") and part.endswith(".css"))
    plain = requests.get(console.url + path, headers={"Accept-Encoding": "identity"}, timeout=60)
    packed = requests.get(console.url + path, headers={"Accept-Encoding": "gzip"}, timeout=60)
    part = requests.get(console.url + path, headers={"Accept-Encoding": "identity", "Range": "bytes=10-29"}, timeout=60)
    known = requests.get(console.url + path, headers={"If-Modified-Since": plain.headers["last-modified"]}, timeout=60)
    assert plain.content == packed.content == (console.data_dir / "static" / Path(path).relative_to("/static")).read_bytes()
    assert (packed.headers["content-encoding"], "content-encoding" in plain.headers) == ("gzip", False)
    assert (part.status_code, part.content) == (200, plain.content)
    assert (known.status_code, known.content) == (304, b"")


def test_a_link_in_a_chunked_body_is_read(console: RunningConsole) -> None:
    address = urlsplit(console.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    body = iter([b'{"triggerUrl": ', json.dumps(UNKNOWN_LINK)[15:].encode()])
    connection.request("POST", "/hook/trigger", body, {"Content-Type": "application/json"}, encode_chunked=True)
    answer = connection.getresponse()
    assert (answer.status, json.load(answer)["message"]) == (
        400,
        "triggerUrl does not hold five fields. Copy the link from the console again.",
    )


def test_a_body_is_asked_for_only_if_it_is_wanted(console: RunningConsole) -> None:
    expecting = "Expect: 100-continue", "Content-Type: application/json", "Connection: close"
    wanted = exchange(console, head(console, "POST /hook/trigger", "Content-Length: 2", *expecting), b"{}")
    unwanted = exchange(console, head(console, "POST /hook/trigger", "Content-Length: 1000000", *expecting))
    assert wanted.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400")
    assert unwanted.startswith(b"HTTP/1.1 413")


def test_requests_of_one_connection_are_answered_in_order(console: RunningConsole) -> None:
    answers = exchange(
        console,
        head(console, "GET /healthz"),
        head(console, "GET /hook/trigger"),
        head(console, "GET /nothing", "Connection: close"),
    )
    assert [piece[:3] for piece in answers.split(b"HTTP/1.1 ")[1:]] == [b"200", b"400", b"404"]


def test_a_long_answer_is_streamed(console: RunningConsole) -> None:
    answer = sign_in(console.url).get(f"{console.url}/activity/export", stream=True, timeout=60)
    assert (answer.status_code, answer.headers["transfer-encoding"]) == (200, "chunked")
    assert answer.text.startswith("id,queued,")


def test_an_unfinished_head_is_cut(console: RunningConsole) -> None:
    started = time.monotonic()
    assert exchange(console, b"GET /healthz HTTP/1.1\r\n") == b""
    assert time.monotonic() - started >= HEAD_SECONDS - 1


def test_http_2_is_not_spoken(console: RunningConsole) -> None:
    assert not exchange(console, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").startswith(b"\0")


def test_a_caller_that_hangs_up_waits_no_longer_and_calls_no_second_time(console: RunningConsole) -> None:
    """Its thread ends, and with it the line in the log: a caller that waits is logged when it is answered."""
    link = console.manage("shell", "-v0", "-c", MAKE_LINK).split()[-1]
    with connect(console) as connection:
        connection.sendall(head(console, f"GET {link}&wait=600"))
        eventually(lambda: "call accepted" in console.log_file.read_text(), within=30, what="the call is accepted")
    eventually(lambda: "status=504" in console.log_file.read_text(), within=30, what="the caller is given up")
    again = exchange(console, head(console, f"GET {link}&wait=1", "Connection: close"))
    assert b"idempotent-replayed: true" in again.lower()


@pytest.mark.parametrize("megabytes", [3, 12])
def test_a_sender_of_too_much_gets_its_answer(console: RunningConsole, megabytes: int) -> None:
    """Python's standard library sends the whole body before it looks for an answer."""
    link = console.manage("shell", "-v0", "-c", MAKE_LINK).split()[-1]
    body = b"x" * (megabytes * 1024 * 1024)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{console.url}{link}", body, timeout=30)
    assert (refused.value.code, json.load(refused.value)["code"]) == (413, "413")

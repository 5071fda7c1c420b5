import asyncio
import json

import pytest
from django.core.exceptions import RequestDataTooBig
from django.core.handlers.wsgi import WSGIRequest
from django.http import FileResponse, HttpResponse, StreamingHttpResponse

from console.server import bodies, door
from console.server.door import READ_FOR_ANYONE, READ_OF_MESSAGES, READ_OF_PARTS, Door
from console.server.tests.asgi import Client, make_scope
from console.server.threads import RequestThreads

LARGE = READ_FOR_ANYONE + 1


class Application:
    """Answers with what `answer` returns for the environment, and keeps what it saw."""

    def __init__(self, answer=None):
        self.environ, self.is_closed = None, False
        self._answer = answer or (lambda environ: HttpResponse(environ["wsgi.input"].read()))

    def __call__(self, environ, start_response):
        self.environ = environ
        response = self._answer(environ)
        response.close = self._close
        start_response(f"{response.status_code} OK", list(response.items()))
        return response

    def _close(self):
        self.is_closed = True


def knock(client, application=None, admits=lambda environ: True, body_limit=10 * LARGE, **scope):
    application = application or Application()

    async def run():
        await Door(application, RequestThreads(4, 30), admits, body_limit, RequestDataTooBig)(
            make_scope(**scope), client.receive, client.send
        )

    asyncio.run(run())
    return application


def length(number):
    return [("content-length", str(number))]


def test_a_request_without_a_body_is_answered_at_once():
    client = Client(stalls=True)
    application = knock(client, Application(lambda environ: HttpResponse("hello", status=201)), method="GET")
    assert (client.status, client.body, client.received) == (201, b"hello", 0)
    assert application.is_closed


def test_a_link_below_the_public_address_is_a_link_from_the_start():
    """It is one for the size of its body too."""
    client, application = Client(b"x" * LARGE), Application()

    async def run():
        shut = Door(application, RequestThreads(4, 30), lambda environ: False, 10 * LARGE, RequestDataTooBig, "/windlass")
        await shut(make_scope(path="/windlass/hook/trigger", headers=length(LARGE)), client.receive, client.send)

    asyncio.run(run())
    assert (client.status, len(client.body), application.environ["PATH_INFO"]) == (200, LARGE, "/hook/trigger")


def test_the_application_gets_the_whole_body():
    client = Client(b"ab", b"cd")
    knock(client, headers=length(4))
    assert client.body == b"abcd"


def test_a_chunked_body_gets_a_length():
    client = Client(b"ab", b"cd")
    application = knock(client, headers=[("transfer-encoding", "chunked")])
    assert (client.body, application.environ["CONTENT_LENGTH"]) == (b"abcd", "4")


class TestLargeBodies:
    @pytest.mark.parametrize("headers", [length(LARGE), [("transfer-encoding", "chunked")]], ids=["stated", "chunked"])
    def test_whoever_is_admitted_may_send_one(self, headers):
        client = Client(b"x" * LARGE, b"y")
        knock(client, headers=headers)
        assert client.body == b"x" * LARGE + b"y"

    def test_nothing_of_it_is_read_before_that(self):
        client = Client(b"x" * LARGE)
        seen = []
        knock(client, admits=lambda environ: seen.append(client.received), headers=length(LARGE), application=unread())
        assert (seen, client.received) == ([0], 0)

    def test_of_a_chunked_one_no_more_is_read_than_of_any(self):
        client = Client(*[b"x" * 4096] * 100)
        knock(client, admits=lambda environ: False, headers=[("transfer-encoding", "chunked")], application=unread())
        assert client.received <= READ_FOR_ANYONE + 4096

    def test_the_application_answers_whoever_is_not_admitted_without_the_body(self):
        client = Client(b"x" * LARGE)
        knock(client, admits=lambda environ: False, headers=length(LARGE), application=unread())
        assert client.body == b"too large"

    @pytest.mark.parametrize("headers", [length(10 * LARGE), [("transfer-encoding", "chunked")]], ids=["stated", "chunked"])
    def test_past_the_limit_it_is_for_nobody(self, headers):
        client = Client(*[b"x" * LARGE] * 10)
        knock(client, body_limit=3 * LARGE, headers=headers, application=unread())
        assert client.body == b"too large"

    @pytest.mark.parametrize("headers", [length(10 * LARGE), [("transfer-encoding", "chunked")]], ids=["stated", "chunked"])
    def test_whoever_is_admitted_can_send_all_of_it_before_the_answer(self, headers):
        client = Client(*[b"x" * LARGE] * 10)
        knock(client, body_limit=3 * LARGE, headers=headers, application=unread())
        assert (client.received, client.sent_after) == (10 * LARGE, 10 * LARGE)

    def test_of_one_without_end_only_some_is_read(self, monkeypatch):
        monkeypatch.setattr(door, "DROPPED_LIMIT", 20 * LARGE)
        client = Client(*[b"x" * LARGE] * 100)
        knock(client, body_limit=3 * LARGE, headers=length(100 * LARGE), application=unread())
        assert (client.body, client.received) == (b"too large", 21 * LARGE)

    def test_one_that_stalls_is_answered_when_its_time_is_up(self, monkeypatch):
        monkeypatch.setattr(bodies, "BODY_GRACE_SECONDS", 0.05)
        monkeypatch.setattr(bodies, "BODY_LEAST_RATE", 1e9)
        client = Client(b"x" * 5 * LARGE, stalls=True)
        knock(client, body_limit=3 * LARGE, headers=length(10 * LARGE), application=unread())
        assert client.body == b"too large"

    def test_whoever_is_not_admitted_is_answered_at_once(self):
        client = Client(*[b"x" * LARGE] * 10)
        knock(client, admits=lambda environ: False, headers=length(10 * LARGE), application=unread())
        assert (client.body, client.received) == (b"too large", 0)


def unread():
    def answer(environ):
        for read in (environ["wsgi.input"].read, environ["wsgi.input"].readline):
            with pytest.raises(RequestDataTooBig):
                read()
        return HttpResponse("too large")

    return Application(answer)


@pytest.mark.parametrize(
    ("path", "content_type", "size"),
    [
        ("/hook/trigger", "application/json", READ_OF_MESSAGES),
        ("/login/", "application/x-www-form-urlencoded", READ_FOR_ANYONE),
        ("/login/", "multipart/form-data; boundary=a", READ_OF_PARTS),
        ("/hook/trigger", "Multipart/Form-Data; boundary=a", READ_OF_PARTS),
    ],
)
def test_what_is_read_for_anyone_depends_on_what_it_costs_to_parse(path, content_type, size):
    for number, is_read in ((size, True), (size + 1, False)):
        client = Client(b"x" * number)
        headers = [*length(number), ("content-type", content_type)]
        knock(client, None if is_read else unread(), lambda environ: False, path=path, headers=headers)
        assert client.received == (number if is_read else 0)


# The charset makes Django look at the query at once.
MANY_PARAMETERS = {"query": b"a=b&" * 1500, "headers": [("content-type", "text/plain; charset=utf-8")]}


class TestRefusals:
    def test_a_stalled_body_is_a_408_that_takes_no_thread(self, monkeypatch):
        monkeypatch.setattr(bodies, "BODY_GRACE_SECONDS", 0.05)
        client = Client(b"a", stalls=True)
        application = knock(client, headers=length(10))
        assert (client.status, json.loads(client.body)["code"], client.headers[b"connection"]) == (408, "408", b"close")
        assert application.environ is None

    def test_more_cookies_than_any_site_has_are_a_431(self):
        client = Client()
        application = knock(client, method="GET", headers=[("cookie", "a" * 5000), ("cookie", "b" * 5000)])
        assert (client.status, application.environ) == (431, None)

    def test_a_body_that_is_broken_or_cut_off_is_a_400(self):
        client = Client(b"a", leaves=True)
        application = knock(client, headers=length(10))
        assert (client.status, application.environ) == (400, None)

    @pytest.mark.parametrize("coding", ["chunked, chunked", "gzip, chunked", "identity", "xchunked", ""])
    def test_a_coding_that_others_may_read_differently_is_a_400(self, coding):
        client = Client(b"a")
        application = knock(client, headers=[("transfer-encoding", coding)])
        assert (client.status, client.received, application.environ) == (400, 0, None)

    def test_a_request_that_the_application_cannot_read_is_a_400(self):
        client = Client()
        knock(client, Application(WSGIRequest), method="GET", **MANY_PARAMETERS)
        assert client.status == 400

    def test_a_body_that_is_given_up_while_it_waits_for_a_thread_is_a_503(self, monkeypatch):
        client, application = Client(b"abc"), Application()
        threads = RequestThreads(4, 30)
        work = []
        monkeypatch.setattr(threads, "submit", lambda run, lane: work.append(run))

        async def run():
            shut = Door(application, threads, lambda environ: True, 1000, RequestDataTooBig)
            answering = asyncio.ensure_future(shut(make_scope(headers=length(3)), client.receive, client.send))
            while not work:
                await asyncio.sleep(0)
            shut.close()
            await asyncio.sleep(0.01)
            await asyncio.to_thread(work[0])
            await answering

        asyncio.run(run())
        assert (client.status, application.environ) == (503, None)

    def test_bodies_that_still_arrive_are_refused_when_the_process_stops(self):
        client = Client(b"a", stalls=True)

        async def run():
            shut = Door(Application(), RequestThreads(4, 30), lambda environ: True, 1000, RequestDataTooBig)
            answering = asyncio.ensure_future(shut(make_scope(headers=length(10)), client.receive, client.send))
            while not client.received:
                await asyncio.sleep(0)
            shut.close()
            await answering

        asyncio.run(run())
        assert (client.status, client.headers[b"retry-after"]) == (503, b"5")

    def test_a_flood_is_one_line_in_the_log(self, monkeypatch, caplog):
        monkeypatch.setattr("console.server.refusals.LINE_SECONDS", 0.05)

        async def run():
            shut = Door(Application(), RequestThreads(4, 30), lambda environ: True, 1000, RequestDataTooBig)
            for _ in range(50):
                client = Client()
                await shut(make_scope(headers=[("cookie", "a" * 9000)]), client.receive, client.send)
            async with asyncio.timeout(15):
                while not find_lines(caplog):
                    await asyncio.sleep(0.01)

        asyncio.run(run())
        (record,) = find_lines(caplog)
        assert (record["status_431"], record["first_address"]) == (50, "192.0.2.7")


def find_lines(caplog):
    return [record.msg for record in caplog.records if record.name == "windlass.server"]


class Stuck:
    """What is awaited for ever."""

    def __await__(self):
        yield from asyncio.Event().wait().__await__()


class TestLongAnswers:
    def test_a_stream_is_sent_piece_by_piece(self):
        client = Client()
        application = knock(client, Application(lambda environ: StreamingHttpResponse(iter([b"a", b"b"]))), method="GET")
        assert [message.get("body") for message in client.sent[1:]] == [b"a", b"b", b""]
        assert application.is_closed

    def test_a_stream_ends_when_its_client_has_left(self):
        client = Client(leaves=True)
        pieces = (b"x" for _ in range(10**9))
        application = knock(client, Application(lambda environ: StreamingHttpResponse(pieces)), method="GET")
        assert application.is_closed

    def test_a_stream_ends_when_its_client_takes_nothing(self, monkeypatch):
        monkeypatch.setattr(door, "SEND_SECONDS", 0.05)
        client = Client()
        client.send = lambda message: client.sent.append(message) or Stuck()
        application = knock(client, Application(lambda environ: StreamingHttpResponse(iter([b"a", b"b"]))), method="GET")
        assert [message.get("body") for message in client.sent[1:]] == [b"a", b""]
        assert application.is_closed

    def test_a_file_is_left_to_the_server(self, tmp_path):
        path = tmp_path / "file"
        path.write_bytes(b"content")
        client = Client()
        knock(client, Application(lambda environ: FileResponse(path.open("rb"))), method="GET")
        assert client.sent[1] == {"type": "http.response.pathsend", "path": str(path)}


def test_an_application_that_fails_fails_the_request():
    def fail(environ):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        knock(Client(), Application(fail), method="GET")

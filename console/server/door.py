"""The door of the console: an ASGI application that reads a request whole, and then lets a thread answer it by WSGI.

The server (granian) bounds the time of a request's head but not of its body, and its WSGI interface takes a thread for every
request before the body is there. So we use its ASGI interface, and wait for bodies in the event loop. Django's own ASGI handler
starts a thread for each request; asgiref's and a2wsgi's adapters read bodies without a deadline, or in the thread.
"""

import asyncio
import contextlib
import io
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any

import structlog
from django.core.exceptions import SuspiciousOperation
from django.http import FileResponse

from console.server.bodies import BodyMemory, BodyReader, BodyRefused, ClientLeft, Receive
from console.server.environ import COOKIES_LIMIT, LINKS_PREFIX, StartResponse, build_environ, count_cookies, remove_prefix
from console.server.refusals import CLIENT_LEFT, RefusalLog
from console.server.threads import RequestThreads
from console.server.turns import KnownLinks, Lane
from triggers.hook.waiting import ON_DISCONNECT

# Bytes of a body that are read for anyone: of messages to links, of anything else, and of forms in parts, which take longest.
READ_OF_MESSAGES, READ_FOR_ANYONE, READ_OF_PARTS = 64 * 1024, 8 * 1024, 4 * 1024
# Bytes of a body that is too large, which are read and dropped before the answer. Many clients send their whole body before
# they look for an answer, and report a broken pipe where the connection is closed meanwhile.
DROPPED_LIMIT = 16 * 1024 * 1024
SEND_SECONDS = 30.0  # in which the client takes the next piece of a long answer
RETRY_SECONDS = b"5"

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
Admission = Callable[[dict[str, Any]], bool]

log = structlog.get_logger("windlass.server")


class UnreadBody(io.RawIOBase):
    """Stands for a body that was not read, because it is too large for whoever sent it."""

    def __init__(self, error: type[Exception]) -> None:
        self._error = error

    def read(self, size: int = -1) -> bytes:
        raise self._error

    def readline(self, size: int | None = -1) -> bytes:
        raise self._error


class Door:
    """`application` answers requests. More of a body than is read for anyone is read only if `admits` returns True for the
    request's environment, and never past `body_limit` bytes. What was not read raises `too_large`. `prefix` is the path of the
    public address, such as `/windlass`, which a proxy may leave on."""

    def __init__(
        self,
        application: Application,
        threads: RequestThreads,
        admits: Admission,
        body_limit: int,
        too_large: type[Exception],
        prefix: str = "",
    ) -> None:
        self._application, self._threads, self._admits = application, threads, admits
        self._body_limit, self._too_large = body_limit, too_large
        self._prefix = prefix
        self._memory = BodyMemory()
        self._refusals = RefusalLog()
        self._links = KnownLinks()
        self._loop = asyncio.get_event_loop()  # which runs as soon as there are requests

    def close(self) -> None:
        """Refuse the bodies that are still arriving: the process is being stopped. For use from any thread."""
        stopping = BodyRefused(503, "The console is restarting. Try again in a few seconds.")
        self._loop.call_soon_threadsafe(self._memory.give_up_all, stopping)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        reader = BodyReader(receive, self._memory)
        scope = remove_prefix(scope, self._prefix)
        try:
            if count_cookies(scope) > COOKIES_LIMIT:
                raise BodyRefused(431, f"The request has more than {COOKIES_LIMIT // 1024} kB of cookies.")
            environ = await self._read_request(scope, reader)
            environ[ON_DISCONNECT] = partial(self._watch_client, receive)
            status = await self._in_thread(partial(self._answer, environ, reader, send), self._links.choose_lane(environ))
            if status == 200:
                self._links.learn(environ)
        except BodyRefused as refusal:
            self._refusals.count(refusal.status, scope)
            await send_refusal(send, refusal)
        except ClientLeft:  # or the client sent what is no body: the server does not say which
            self._refusals.count(CLIENT_LEFT, scope)
            await send_refusal(send, BodyRefused(400, "The body is broken, or was cut off."))
        finally:
            reader.close()

    async def _read_request(self, scope: Mapping[str, Any], reader: BodyReader) -> dict[str, Any]:
        """Return the environment; `reader` has the body, unless it is not to be read. Raises BodyRefused and ClientLeft."""
        length = find_length(scope)
        if length == 0:
            return build_environ(scope, io.BytesIO(), None)
        free = choose_free_size(scope)
        if length is None or length <= free:
            await reader.read(free)
        unread = build_environ(scope, UnreadBody(self._too_large), None)  # type: ignore[arg-type] # has what WSGI asks for
        if not reader.is_complete:
            is_admitted = partial(self._admits, dict(unread))
            if not await self._in_thread(is_admitted, self._links.choose_lane(unread)):
                return unread
            if (length or 0) <= self._body_limit:
                await reader.read(self._body_limit)
            if not reader.is_complete:
                await reader.drop(DROPPED_LIMIT)
                return unread
        return build_environ(scope, io.BytesIO(), reader.size)

    async def _in_thread(self, work: Callable[[], Any], lane: Lane) -> Any:
        done = self._loop.create_future()

        def run() -> None:
            try:
                result, error = work(), None
            except Exception as caught:  # noqa: BLE001 - it is raised where the result is awaited
                result, error = None, caught
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
                self._loop.call_soon_threadsafe(settle, done, result, error)

        self._threads.submit(run, lane)
        return await done

    def _answer(self, environ: dict[str, Any], reader: BodyReader, send: Send) -> int:
        """Run the application and send its answer. Return the status. In a thread. Raises BodyRefused."""
        start = StartResponse()
        if reader.is_complete:
            environ["wsgi.input"] = io.BytesIO(reader.take())
        try:
            answer = self._application(environ, start)
        except SuspiciousOperation as error:
            # Django reads the query before it answers for errors if the Content-Type names a charset.
            raise BodyRefused(400, "The request cannot be read. It may have too many parameters.") from error
        try:
            head = {"type": "http.response.start", "status": start.status, "headers": start.headers}
            if not getattr(answer, "streaming", False):
                send(head)
                send({"type": "http.response.body", "body": b"".join(answer)})
            elif path := find_file(answer):
                send(head)
                send({"type": "http.response.pathsend", "path": path})
            else:
                self._stream(environ, send, head, answer)
        finally:
            if close := getattr(answer, "close", None):
                close()
        return start.status

    def _stream(self, environ: dict[str, Any], send: Send, head: Mapping[str, Any], pieces: Iterable[bytes]) -> None:
        """Send an answer piece by piece, at the client's pace. End it if the client has left, or takes nothing for long."""
        has_left = False

        def leave() -> None:
            nonlocal has_left
            has_left = True

        async def deliver(piece: bytes) -> None:
            async with asyncio.timeout(SEND_SECONDS):
                await send({"type": "http.response.body", "body": piece, "more_body": True})

        environ[ON_DISCONNECT](leave)
        send(head)
        for piece in pieces:
            try:
                asyncio.run_coroutine_threadsafe(deliver(piece), self._loop).result()
            except TimeoutError:
                has_left = True
            if has_left:
                log.info("a client left before the end of its answer", path=environ["PATH_INFO"][:200])
                break
        send({"type": "http.response.body", "body": b""})

    def _watch_client(self, receive: Receive, callback: Callable[[], None]) -> None:
        """Call `callback`, in the loop's thread, when the client has left or the answer has been sent. Call this in a request's
        thread that will only wait from now on."""

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            callback()

        self._threads.rest()
        asyncio.run_coroutine_threadsafe(watch(), self._loop)


def settle(future: "asyncio.Future[Any]", result: Any, error: Exception | None) -> None:
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def choose_free_size(scope: Mapping[str, Any]) -> int:
    """Return how many bytes of the body are read for anyone."""
    if any(name == b"content-type" and b"multipart" in value.lower() for name, value in scope["headers"]):
        return READ_OF_PARTS
    return READ_OF_MESSAGES if scope["path"].startswith(LINKS_PREFIX) else READ_FOR_ANYONE


def find_length(scope: Mapping[str, Any]) -> int | None:
    """Return the length of the body that the client states; 0 for no body, None for a chunked body. The server has refused
    requests that state both or none right. Raises BodyRefused for other codings: to a proxy they may mean another length."""
    length = 0
    for name, value in scope["headers"]:
        if name == b"transfer-encoding":
            if value.strip().lower() != b"chunked":
                raise BodyRefused(400, "The Transfer-Encoding must be chunked, and nothing else.")
            return None
        if name == b"content-length" and value.isdigit():
            length = int(value[:20])
    return length


def find_file(answer: object) -> str:
    """Return the path of the file that the answer sends whole, or an empty string."""
    if not isinstance(answer, FileResponse) or answer.status_code != 200:
        return ""
    name = getattr(getattr(answer, "file_to_stream", None), "name", "")
    return name if isinstance(name, str) else ""


async def send_refusal(send: Send, refusal: BodyRefused) -> None:
    """Send a refusal in the form of the hook's answers."""
    body = json.dumps({"code": str(refusal.status), "message": refusal.message, "requestId": None}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    if refusal.status == 503:
        headers.append((b"retry-after", RETRY_SECONDS))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

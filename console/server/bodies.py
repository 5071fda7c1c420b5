"""Reads the bodies of requests before a thread is taken for them: within a time, at a least rate, and within a bounded memory.

A client that sends slowly, or stops, holds its connection and nothing else. All of this runs in the server's event loop.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

BODY_SECONDS = 30.0  # in which a body must have arrived
BODY_GRACE_SECONDS = 10.0  # before the least rate counts
BODY_LEAST_RATE = 1000.0  # bytes a second, on average since the grace period
BODIES_LIMIT = 64 * 1024 * 1024  # bytes of all bodies that arrive at a time

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class BodyRefused(Exception):
    """The body was not read to its end. The connection is closed after the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class ClientLeft(Exception):
    """The client closed the connection before its body was complete."""


def refuse_slow_body() -> BodyRefused:
    return BodyRefused(
        408,
        f"The body did not arrive in time: within {BODY_SECONDS:.0f} s, and with at least {BODY_LEAST_RATE:.0f} bytes "
        f"a second after the first {BODY_GRACE_SECONDS:.0f} s. Send the whole body at once.",
    )


def refuse_for_memory() -> BodyRefused:
    return BodyRefused(503, "Too many bodies arrive at a time, and this one took longest. Try again in a few seconds.")


class BodyMemory:
    """The bodies that are arriving or wait for a thread, the oldest first. Past `limit` bytes the oldest are given up: a sender
    who sends the whole body at once is never among them, as long as threads are free."""

    def __init__(self, limit: int = BODIES_LIMIT) -> None:
        self._limit = limit
        self._arriving: dict[BodyReader, None] = {}
        self.held = 0  # bytes

    def enter(self, reader: "BodyReader") -> None:
        self._arriving[reader] = None

    def leave(self, reader: "BodyReader") -> None:
        if reader in self._arriving:
            del self._arriving[reader]
            self.held -= reader.size

    def take(self, size: int) -> None:
        self.held += size
        while self.held > self._limit and self._arriving:
            oldest = next(iter(self._arriving))
            self.leave(oldest)
            oldest.give_up(refuse_for_memory())

    def give_up_all(self, refusal: BodyRefused) -> None:
        for reader in list(self._arriving):
            self.leave(reader)
            reader.give_up(refusal)


@dataclass(eq=False)
class BodyReader:
    """One body. `size` bytes of it have arrived."""

    receive: Receive
    memory: BodyMemory
    size: int = 0
    is_complete: bool = False
    # Joined at the end: hundreds of buffers that grow side by side leave several times their size in holes.
    _pieces: list[bytes] = field(default_factory=list)
    _started: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    _timeout: asyncio.Timeout | None = None
    _refusal: BodyRefused | None = None

    async def read(self, limit: int) -> None:
        """Read until the body is complete, or until more than `limit` bytes of it have arrived.

        Raises BodyRefused for a body that takes too long or too much memory, and ClientLeft.
        """
        if self._refusal:  # given up between two readings
            raise self._refusal
        self.memory.enter(self)
        while not self.is_complete and self.size <= limit:
            message = await self._receive_in_time()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            self.is_complete = not message.get("more_body")
            chunk = message.get("body", b"")
            self._pieces.append(chunk)
            self.size += len(chunk)
            self.memory.take(len(chunk))
            if self._refusal:
                raise self._refusal

    async def drop(self, limit: int) -> None:
        """Read on without keeping anything, until the body has ended, more than `limit` bytes of it have arrived, or it takes
        too long. The body counts as unread."""
        self.close()
        with contextlib.suppress(BodyRefused, ClientLeft):
            more = True
            while more and self.size <= limit:
                message = await self._receive_in_time()
                more = bool(message.get("more_body"))
                self.size += len(message.get("body", b""))

    def take(self) -> bytes:
        """Return the body. For use from any thread. Raises BodyRefused if the body has been given up meanwhile."""
        pieces, self._pieces = self._pieces, []
        if self._refusal:
            raise self._refusal
        return b"".join(pieces)

    def give_up(self, refusal: BodyRefused) -> None:
        """Free the body's memory, and let `read` or `take` raise `refusal`."""
        self._refusal = refusal
        self._pieces = []
        if self._timeout:
            self._timeout.reschedule(asyncio.get_running_loop().time())

    def close(self) -> None:
        """Free the body's memory. An exception that was raised here may keep this object for a while."""
        self.memory.leave(self)
        self._pieces = []

    def find_deadline(self) -> float:
        """Return the time, by the event loop's clock, by which more must have arrived."""
        return self._started + min(BODY_SECONDS, BODY_GRACE_SECONDS + self.size / BODY_LEAST_RATE)

    async def _receive_in_time(self) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout_at(self.find_deadline()) as self._timeout:
                return await self.receive()
        except TimeoutError:
            raise self._refusal or refuse_slow_body() from None
        finally:
            self._timeout = None

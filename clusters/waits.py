"""Waiting for an engine, a registry or a slow reader, without holding what others need.

The threads of a process share its connections to PostgreSQL, so a thread that waits gives its own back. And the threads that
wait are counted, since links are answered by the same threads: when as many wait as may, the next request is refused at once
instead of waiting behind them.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection

from clusters.engine.errors import EngineUnreachable
from clusters.registry.errors import RegistryError


class NoPlace(Exception):
    """`number` threads wait already, which is as many as may: for the same name if `is_same`, else for all names."""

    def __init__(self, number: int, is_same: bool) -> None:
        super().__init__(f"{number} wait")
        self.number, self.is_same = number, is_same


class Places:
    """Places for threads of this process that wait: `in_all`, and of these at most `for_each` for one name."""

    def __init__(self, in_all: int, for_each: int) -> None:
        self._in_all, self._for_each = in_all, for_each
        self._lock = threading.Lock()  # never held while anything is waited for
        self._held: Counter[str] = Counter()

    def take(self, name: str) -> None:
        """Take a place, or raise NoPlace at once."""
        with self._lock:
            if self._held[name] >= self._for_each:
                raise NoPlace(self._for_each, is_same=True)
            if self._held.total() >= self._in_all:
                raise NoPlace(self._in_all, is_same=False)
            self._held[name] += 1

    def free(self, name: str) -> None:
        with self._lock:
            self._held[name] -= 1
            if not self._held[name]:
                del self._held[name]

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Raises NoPlace at once."""
        self.take(name)
        try:
            yield
        finally:
            self.free(name)


class Line:
    """Threads of this process that do something one after the other, in the order in which they came. At most `length` are in
    the line, and each name once."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._lock = threading.Lock()  # never held while anything is waited for
        self._line: dict[str, threading.Event] = {}

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        """Wait for the turn, without a connection, and have it in this context. Raises NoPlace at once."""
        with self._lock:
            if name in self._line:
                raise NoPlace(1, is_same=True)
            if len(self._line) >= self._length:
                raise NoPlace(self._length, is_same=False)
            mine = self._line[name] = threading.Event()
            self._call_first()
        try:
            release_connection()
            mine.wait()
            yield
        finally:
            with self._lock:
                del self._line[name]
                self._call_first()

    def _call_first(self) -> None:
        for first in self._line.values():
            first.set()
            return


places = Places(settings.WAITING_REQUESTS, settings.WAITING_REQUESTS_FOR_EACH)


@contextmanager
def wait_for_engine(name: str) -> Iterator[None]:
    """Hold a place, and no connection, while a request waits for an engine. `name` is its cluster's uid, or another name for
    what is asked. Raises EngineUnreachable (`busy`)."""
    try:
        places.take(name)
    except NoPlace as error:
        raise EngineUnreachable(explain_refusal(error, "The engine"), "busy") from error
    with freeing(name):
        yield


@contextmanager
def wait_for_registry(host: str) -> Iterator[None]:
    """Hold a place, and no connection, while a request waits for a registry. Raises RegistryError (`busy`)."""
    name = f"registry {host}"
    try:
        places.take(name)
    except NoPlace as error:
        raise RegistryError(explain_refusal(error, host), "busy") from error
    with freeing(name):
        yield


@contextmanager
def freeing(name: str) -> Iterator[None]:
    try:
        release_connection()
        yield
    finally:
        places.free(name)


def explain_refusal(error: NoPlace, asked: str) -> str:
    slow = f"{asked} answers" if error.is_same else "Engines and registries answer"
    return f"{slow} too slowly: {error.number} requests already wait, so this one was not sent. Try again in a moment."


def release_connection() -> None:
    """Give this thread's database connection back to the process's pool, unless a transaction needs it. The next query takes
    one again. With SQLite there is no pool, and each thread keeps a connection of its own."""
    if has_pool() and not connection.in_atomic_block:
        connection.close()


def has_pool() -> bool:
    return bool(connection.settings_dict["OPTIONS"].get("pool"))

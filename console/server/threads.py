"""The threads that answer requests. They start on demand and end when idle.

The thread that became idle last works next, so that a quiet console has few threads with a database connection each. Python's
own pool neither ends idle threads nor prefers a busy one.
"""

import threading
from collections import deque
from collections.abc import Callable

import structlog

log = structlog.get_logger("windlass.server")

Work = Callable[[], None]


class IdleThread:
    """A thread that waits for work."""

    def __init__(self) -> None:
        self._work: Work | None = None
        self._called = threading.Semaphore(0)

    def hand_over(self, work: Work) -> None:
        self._work = work
        self._called.release()

    def wait(self, seconds: float) -> bool:
        """Return whether work came in time."""
        return self._called.acquire(timeout=seconds)

    def take(self) -> Work:
        assert self._work
        work, self._work = self._work, None
        return work


class RequestThreads:
    """At most `limit` threads. More work waits in order. A thread ends after `idle_seconds` without work."""

    def __init__(self, limit: int, idle_seconds: float) -> None:
        self._limit, self._idle_seconds = limit, idle_seconds
        self._lock = threading.Lock()  # never held while anything is waited for
        self._idle: list[IdleThread] = []
        self._waiting: deque[Work] = deque()
        self.count = 0

    @property
    def idle(self) -> int:
        return len(self._idle)

    def submit(self, work: Work) -> None:
        """Run `work` in a thread, now or as soon as one is free. It must not raise."""
        with self._lock:
            if self._idle:
                self._idle.pop().hand_over(work)
                return
            if self.count >= self._limit:
                self._waiting.append(work)
                return
            self.count += 1
        threading.Thread(target=self._serve, args=(work,), name="request", daemon=True).start()

    def _serve(self, work: Work | None) -> None:
        slot = IdleThread()
        while work:
            try:
                work()
            except Exception:
                log.exception("a request's thread failed")
            work = self._find_work(slot)

    def _find_work(self, slot: IdleThread) -> Work | None:
        """Return the next work, or None if this thread has been idle for too long."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._idle.append(slot)
        if not slot.wait(self._idle_seconds):
            with self._lock:
                if slot in self._idle:
                    self._idle.remove(slot)
                    self.count -= 1
                    return None
            slot.wait(self._idle_seconds)  # work came at the last moment
        return slot.take()

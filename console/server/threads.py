"""The threads that answer requests. They start on demand and end when idle.

Few of them work at a time: the interpreter runs only one, so with many each request takes longer. A thread that waits for
something else does not count, and one that has worked for long is taken for such a thread.

The thread that became idle last works next, so that a quiet console has few threads with a database connection each. Python's
own pool neither ends idle threads nor prefers a busy one.
"""

import threading
import time
from collections.abc import Callable

import structlog

from console.server.turns import ANY, Lane, Turns, Work

log = structlog.get_logger("windlass.server")

LONG_SECONDS = 0.1  # in which a request that only computes is answered


class WorkingThread:
    """A thread as those see it who have work for it."""

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
    """At most `limit` threads, of which at most `workers` work at a time. More work waits for its turn. A thread ends after
    `idle_seconds` without work, and calls `on_end` before."""

    def __init__(self, limit: int, idle_seconds: float, workers: int = 0, on_end: Callable[[], None] = lambda: None) -> None:
        self._limit, self._idle_seconds, self._workers, self._on_end = limit, idle_seconds, workers or limit, on_end
        self._lock = threading.Lock()  # never held while anything is waited for
        self._idle: list[WorkingThread] = []
        self._working: dict[WorkingThread, float] = {}  # since when
        self._turns = Turns()
        self._own = threading.local()
        self._is_watched = False
        self.count = 0

    @property
    def idle(self) -> int:
        return len(self._idle)

    def submit(self, work: Work, lane: Lane = ANY) -> None:
        """Run `work` in a thread, now or when it is its turn. It must not raise."""
        with self._lock:
            self._turns.add(work, lane)
            starting = self._distribute()
            if self._turns and not self._is_watched:
                self._is_watched = True
                starting.append(threading.Thread(target=self._watch, name="request-watch", daemon=True))
        start(starting)

    def rest(self) -> None:
        """The thread that calls this will only wait until the end of its work: let others work meanwhile."""
        with self._lock:
            self._working.pop(self._own.thread, None)
            starting = self._distribute()
        start(starting)

    def _distribute(self) -> list[threading.Thread]:
        """Give work to idle and to new threads, as long as more may work. Return the new ones, which are to be started."""
        starting = []
        while self._turns and len(self._working) < self._workers and (self._idle or self.count < self._limit):
            if self._idle:
                thread = self._idle.pop()
            else:
                thread = WorkingThread()
                self.count += 1
                starting.append(threading.Thread(target=self._serve, args=(thread,), name="request", daemon=True))
            thread.hand_over(self._take_turn(thread))
        return starting

    def _take_turn(self, thread: WorkingThread) -> Work:
        self._working[thread] = time.monotonic()
        return self._turns.take()

    def _serve(self, thread: WorkingThread) -> None:
        self._own.thread = thread
        thread.wait(self._idle_seconds)
        work: Work | None = thread.take()
        while work:
            try:
                work()
            except Exception:
                log.exception("a request's thread failed")
            work = self._find_work(thread)
        self._on_end()

    def _find_work(self, thread: WorkingThread) -> Work | None:
        """Return the next work, or None if this thread has been idle for too long."""
        with self._lock:
            self._working.pop(thread, None)
            if self._turns and len(self._working) < self._workers:
                return self._take_turn(thread)
            self._idle.append(thread)
        if not thread.wait(self._idle_seconds):
            with self._lock:
                if thread in self._idle:
                    self._idle.remove(thread)
                    self.count -= 1
                    return None
            thread.wait(self._idle_seconds)  # work came at the last moment
        return thread.take()

    def _watch(self) -> None:
        """While work waits, do not count threads that have worked for long."""
        while True:
            time.sleep(LONG_SECONDS / 2)
            with self._lock:
                if not self._turns:
                    self._is_watched = False
                    return
                long_ago = time.monotonic() - LONG_SECONDS
                for thread in [thread for thread, since in self._working.items() if since < long_ago]:
                    del self._working[thread]
                starting = self._distribute()
            start(starting)


def start(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()

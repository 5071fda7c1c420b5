"""Run engine requests in threads. Only the calling thread reports events and runs the call's check, each half second."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from clusters.engine.driver import Check, Level, Report
from clusters.engine.errors import Cancelled, EngineError, HandOver

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

BEAT_SECONDS = 0.5
LEAVE_SECONDS = 5.0  # how long the current request can take to end when the call must stop
LANES_AT_ONCE = 8

Job = Callable[["EngineClient"], None]


class Abandoned(EngineError):
    """The lane must stop, because the call was interrupted or another lane failed."""

    code = "abandoned"


class Round:
    """The state that the threads of one `run` share. Threads that were left behind cannot disturb a later run."""

    def __init__(self) -> None:
        self.events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()  # None: a thread ended
        self.stop = threading.Event()


class LaneRunner:
    """Run jobs in threads of their own.

    Jobs call `pause` and `report`. The given `report` and `check` run in the caller's thread.
    """

    def __init__(self, client: "EngineClient", report: Report, check: Check) -> None:
        self.client = client
        self._report, self._check = report, check
        self._own = threading.local()  # `round`: the Round of a job's thread

    def report(self, level: Level, operation: str, text: str) -> None:
        self.hand_over(partial(self._report, level, operation, text))

    def hand_over(self, work: Callable[[], None]) -> None:
        """Have `work` done in the caller's thread, in the order of the reports."""
        self._own.round.events.put(work)

    def pause(self, seconds: float) -> None:
        """Wait. Raises Abandoned when the lane must stop."""
        if self._own.round.stop.wait(seconds):
            raise Abandoned("The work was stopped.")

    def run(self, jobs: Sequence[Job], may_leave: bool = False) -> None:
        """Run all jobs, up to LANES_AT_ONCE at a time.

        Raises what `check` raises, else the first error of a job; the other jobs end at their next step. Cancelled and
        HandOver are raised only when the current requests have ended, so that their effect is known. With `may_leave` they
        are raised at once: these jobs change nothing that a rollback would have to find.
        """
        self._check()
        shared = Round()
        waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        for job in jobs:
            waiting.put(job)
        errors: list[BaseException] = []
        alone = len(jobs) == 1
        threads = [
            threading.Thread(target=self._work, args=(shared, waiting, errors, alone), name="engine-lane", daemon=True)
            for _ in range(min(len(jobs), LANES_AT_ONCE))
        ]
        for thread in threads:
            thread.start()
        try:
            interruption = self._wait(shared, len(threads), may_leave)
        except BaseException:
            shared.stop.set()
            for thread in threads:
                thread.join(LEAVE_SECONDS / len(threads))
            raise
        if errors:
            raise next((error for error in errors if not isinstance(error, Abandoned)), interruption or errors[0])

    def _wait(self, shared: Round, running: int, may_leave: bool) -> Cancelled | HandOver | None:
        """Wait for `running` threads, report their events and run the check. Return the interruption that stopped them."""
        checked_at = time.monotonic()
        interruption: Cancelled | HandOver | None = None
        while running:
            with suppress(queue.Empty):
                if event := shared.events.get(timeout=BEAT_SECONDS):
                    event()
                else:
                    running -= 1
            if running and time.monotonic() - checked_at >= BEAT_SECONDS:
                try:
                    self._check()
                except (Cancelled, HandOver) as error:
                    if may_leave:
                        raise
                    interruption = error
                    shared.stop.set()
                checked_at = time.monotonic()
        return interruption

    def _work(self, shared: Round, waiting: "queue.SimpleQueue[Job]", errors: list[BaseException], alone: bool) -> None:
        """`alone`: this is the only job, so it can use the caller's own connection."""
        self._own.round = shared
        try:
            if alone:
                self._work_off(shared, waiting, self.client)
            else:
                with self.client.sibling() as client:
                    self._work_off(shared, waiting, client)
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)
            shared.stop.set()
        finally:
            shared.events.put(None)

    def _work_off(self, shared: Round, waiting: "queue.SimpleQueue[Job]", client: Any) -> None:
        with suppress(queue.Empty):
            while not shared.stop.is_set():
                waiting.get_nowait()(client)

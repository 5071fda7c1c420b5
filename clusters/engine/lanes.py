"""Engine requests beside the thread that answers for the call: it checks each half second and alone reports."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from clusters.engine.driver import Check, Level, Report
from clusters.engine.errors import Cancelled, EngineError, HandOver

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

BEAT_SECONDS = 0.5
LEAVE_SECONDS = 5.0  # how long a request under way is waited for when the call is to stop
LANES_AT_ONCE = 8

Job = Callable[["EngineClient"], None]


class Abandoned(EngineError):
    """The call was told to stop, or another lane has failed."""

    code = "abandoned"


class Round:
    """What the threads of one `run` share: those that were left behind disturb no later one."""

    def __init__(self) -> None:
        self.events: queue.SimpleQueue[tuple[Level, str, str] | None] = queue.SimpleQueue()  # None: a thread has ended
        self.stop = threading.Event()


class LaneRunner:
    """Runs jobs in threads of their own. `pause` and `report` are for the jobs to use; `check` runs in the caller's thread."""

    def __init__(self, client: "EngineClient", report: Report, check: Check) -> None:
        self.client = client
        self._report, self._check = report, check
        self._own = threading.local()  # `round`: of a job's thread

    def report(self, level: Level, operation: str, text: str) -> None:
        self._own.round.events.put((level, operation, text))

    def pause(self, seconds: float) -> None:
        """Raises Abandoned when it is to stop."""
        if self._own.round.stop.wait(seconds):
            raise Abandoned("The work was stopped.")

    def run(self, jobs: Sequence[Job], may_leave: bool = False) -> None:
        """All jobs, some at a time. Raises what `check` raises, else a job's first error; the others end at their next step.

        Cancelled and HandOver come out when the requests under way have ended, so that what they do is known; at once with
        `may_leave`: the jobs change nothing that a way back would find.
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
        """Until as many threads have ended; passes their events on as they come, and checks. What told them to stop."""
        checked_at = time.monotonic()
        interruption: Cancelled | HandOver | None = None
        while running:
            with suppress(queue.Empty):
                if event := shared.events.get(timeout=BEAT_SECONDS):
                    self._report(*event)
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
        """`alone`: the caller's own connection is free for the only job."""
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

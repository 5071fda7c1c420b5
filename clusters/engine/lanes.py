"""Engine requests beside the thread that answers for the call: it checks each half second and alone reports."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from clusters.engine.driver import Check, Level, Report
from clusters.engine.errors import EngineError

if TYPE_CHECKING:
    from clusters.engine.client import EngineClient

BEAT_SECONDS = 0.5
LEAVE_SECONDS = 5.0  # how long a request under way is waited for when the call is to stop
LANES_AT_ONCE = 8

Job = Callable[["EngineClient"], None]


class Abandoned(EngineError):
    """The call was told to stop, or another lane has failed."""

    code = "abandoned"


class LaneRunner:
    """Runs jobs in threads of their own. `pause` and `report` are for the jobs to use; `check` runs in the caller's thread."""

    def __init__(self, client: "EngineClient", report: Report, check: Check) -> None:
        self.client = client
        self._report, self._check = report, check
        self._events: queue.SimpleQueue[tuple[Level, str, str] | None] = queue.SimpleQueue()
        self._stop = threading.Event()

    def report(self, level: Level, operation: str, text: str) -> None:
        self._events.put((level, operation, text))

    def pause(self, seconds: float) -> None:
        """Raises Abandoned when it is to stop."""
        if self._stop.wait(seconds):
            raise Abandoned("The work was stopped.")

    def run(self, jobs: Sequence[Job]) -> None:
        """All jobs, some at a time. Raises what `check` raises, else a job's first error; the others end at their next step."""
        self._check()
        self._stop.clear()
        waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        for job in jobs:
            waiting.put(job)
        errors: list[BaseException] = []
        alone = len(jobs) == 1
        threads = [
            threading.Thread(target=self._work, args=(waiting, errors, alone), name="engine-lane", daemon=True)
            for _ in range(min(len(jobs), LANES_AT_ONCE))
        ]
        for thread in threads:
            thread.start()
        try:
            self._wait(len(threads))
        except BaseException:
            self._stop.set()
            for thread in threads:
                thread.join(LEAVE_SECONDS / len(threads))
            raise
        if errors:
            raise next((error for error in errors if not isinstance(error, Abandoned)), errors[0])

    def _wait(self, running: int) -> None:
        """Until as many threads have ended; passes their events on as they come, and checks."""
        checked_at = time.monotonic()
        while running:
            with suppress(queue.Empty):
                if event := self._events.get(timeout=BEAT_SECONDS):
                    self._report(*event)
                else:
                    running -= 1
            if running and time.monotonic() - checked_at >= BEAT_SECONDS:
                self._check()
                checked_at = time.monotonic()

    def _work(self, waiting: "queue.SimpleQueue[Job]", errors: list[BaseException], alone: bool) -> None:
        """`alone`: the caller's own connection is free for the only job."""
        try:
            if alone:
                self._work_off(waiting, self.client)
            else:
                with self.client.sibling() as client:
                    self._work_off(waiting, client)
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)
            self._stop.set()
        finally:
            self._events.put(None)

    def _work_off(self, waiting: "queue.SimpleQueue[Job]", client: Any) -> None:
        with suppress(queue.Empty):
            while not self._stop.is_set():
                waiting.get_nowait()(client)

"""Engine requests beside the thread that answers for the call: it checks each half second, and alone reports."""

import queue
import threading
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
        self._events: queue.SimpleQueue[tuple[Level, str, str]] = queue.SimpleQueue()
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
        self._wait(threads)
        if errors:
            raise next((error for error in errors if not isinstance(error, Abandoned)), errors[0])

    def _wait(self, threads: Sequence[threading.Thread]) -> None:
        try:
            while any(thread.is_alive() for thread in threads):
                for thread in threads:
                    thread.join(BEAT_SECONDS / len(threads))
                self._forward_events()
                self._check()
        except BaseException:
            self._stop.set()
            for thread in threads:
                thread.join(LEAVE_SECONDS / len(threads))
            raise
        self._forward_events()

    def _forward_events(self) -> None:
        with suppress(queue.Empty):
            while True:
                self._report(*self._events.get_nowait())

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

    def _work_off(self, waiting: "queue.SimpleQueue[Job]", client: Any) -> None:
        with suppress(queue.Empty):
            while not self._stop.is_set():
                waiting.get_nowait()(client)

"""Requests to the Swarm's manager that survive a short silence, and pauses that a cancelled call interrupts."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from clusters.engine.driver import Check, Report
from clusters.engine.errors import EngineUnreachable, NotManager
from clusters.engine.retry import retry_unreachable

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

CHECK_SECONDS = 0.5

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class SwarmManager:
    """The manager that a plan is executed on, with the call's own `report` and `check`."""

    client: "EngineClient"
    report: Report
    check: Check

    def ask(self, request: Callable[[], Answer]) -> Answer:
        """Return the request's answer, and repeat it when the manager does not answer for a moment.

        An engine that is no longer a manager counts as unreachable: another manager can continue. Raises EngineUnreachable,
        and what `request` raises.
        """
        try:
            return retry_unreachable(lambda attempt: request(), lambda text: self.report("warning", "wait", text), self.sleep)
        except NotManager as error:
            raise EngineUnreachable(error.message, code=error.code) from error

    def sleep(self, seconds: float) -> None:
        """Sleep, and call `check` each CHECK_SECONDS."""
        until = self.now() + seconds
        while (left := until - self.now()) > 0:
            time.sleep(min(left, CHECK_SECONDS))
            self.check()

    def now(self) -> float:
        """Return the seconds of a monotonic clock."""
        return time.monotonic()

"""Hold back cancellations and hand-overs while a call's work must not stop."""

from clusters.engine.driver import Check
from clusters.engine.errors import Cancelled, HandOver


class InterruptibleCheck:
    """A call's `check` that lets Cancelled and HandOver through only while `interruptible` is true.

    Work that repairs leftovers, rolls back or cleans up must not stop half way. Other exceptions always come through.
    """

    def __init__(self, check: Check, interruptible: bool) -> None:
        self._check = check
        self.interruptible = interruptible

    def __call__(self) -> None:
        try:
            self._check()
        except (Cancelled, HandOver):
            if self.interruptible:
                raise

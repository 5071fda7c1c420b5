"""Cancelling a call or handing it over, while its work can stop and while it cannot."""

from clusters.engine.driver import Check
from clusters.engine.errors import Cancelled, HandOver


class InterruptibleCheck:
    """A call's `check` that lets Cancelled and HandOver through only while `interruptible` is true.

    Work that repairs leftovers, rolls back or cleans up must not stop half way. What else `check` raises always comes through.
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

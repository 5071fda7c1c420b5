"""Retry a request while the engine does not answer."""

from collections.abc import Callable
from typing import TypeVar

from clusters.engine.errors import Cancelled, EngineUnreachable, HandOver
from clusters.engine.lanes import Abandoned

Answer = TypeVar("Answer")

ATTEMPTS = 4  # enough for a short outage; a longer one is raised, and the call is resumed later
RETRY_SECONDS = 1.0


def retry_unreachable(request: Callable[[int], Answer], warn: Callable[[str], None], pause: Callable[[float], None]) -> Answer:
    """Return the answer of `request(attempt)`, which is called up to ATTEMPTS times; `attempt` counts from 0.

    `warn(text)` reports each retry. `pause(seconds)` waits and can raise when the work must stop. Raises
    EngineUnreachable, also when the wait was interrupted: the request may have succeeded, so check its effect then.
    """
    for attempt in range(ATTEMPTS):
        try:
            return request(attempt)
        except EngineUnreachable as error:
            if attempt == ATTEMPTS - 1:
                raise
            warn(f"{error.message} Trying again.")
            try:
                pause(RETRY_SECONDS)
            except (Abandoned, Cancelled, HandOver):
                raise error from None
    raise AssertionError("the last attempt returns or raises")

"""Ask an engine again when it does not answer for a moment."""

from collections.abc import Callable
from typing import TypeVar

from clusters.engine.errors import Cancelled, EngineUnreachable, HandOver
from clusters.engine.lanes import Abandoned

Answer = TypeVar("Answer")

ATTEMPTS = 4  # bridge a hiccup; a longer outage is raised, and the call is resumed later
RETRY_SECONDS = 1.0


def retry_unreachable(request: Callable[[int], Answer], warn: Callable[[str], None], pause: Callable[[float], None]) -> Answer:
    """Return the answer of `request(attempt)`, which is asked up to ATTEMPTS times; `attempt` counts from 0.

    `warn(text)` reports each repetition. `pause(seconds)` waits and may raise when the work is to stop. Raises
    EngineUnreachable, also when the wait was interrupted: whether the request got through must be checked then.
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

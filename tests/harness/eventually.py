"""Wait for a state instead of sleeping for it."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def eventually(probe: Callable[[], Value], *, within: float = 10.0, every: float = 0.05, what: str = "") -> Value:
    """Calls `probe` until it returns something true and returns that; AssertionError after `within` seconds.

    An AssertionError of the probe counts as "not yet", and the last one is the cause of the failure.
    """
    deadline = time.monotonic() + within
    while True:
        failure: AssertionError | None = None
        try:
            if value := probe():
                return value
        except AssertionError as error:
            failure = error
        if time.monotonic() >= deadline:
            raise AssertionError(f"Not within {within:g} s: {what or getattr(probe, '__name__', 'the probe')}") from failure
        time.sleep(every)

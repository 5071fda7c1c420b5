"""Waits for a state instead of sleeping."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")
MOST = 0.3  # seconds between two probes: each is work for the engine, and a long wait can take a little longer


def eventually(probe: Callable[[], Value], *, within: float = 10.0, every: float = 0.05, what: str = "") -> Value:
    """Call `probe` until it returns something true, and return that. Raises AssertionError after `within` seconds.

    It waits `every` seconds between two calls at first, and longer the longer it takes.
    An AssertionError of the probe counts as "not yet", and the last one is the cause of the failure.
    """
    begin = time.monotonic()
    deadline = begin + within
    while True:
        failure: AssertionError | None = None
        try:
            if value := probe():
                return value
        except AssertionError as error:
            failure = error
        now = time.monotonic()
        if now >= deadline:
            raise AssertionError(f"Not within {within:g} s: {what or getattr(probe, '__name__', 'the probe')}") from failure
        time.sleep(max(every, min((now - begin) / 20, MOST)))

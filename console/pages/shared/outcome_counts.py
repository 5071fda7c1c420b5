"""Counts of calls by outcome, as charts stack and word them."""

from collections.abc import Mapping
from dataclasses import dataclass

from triggers.models import CallState

# From the bottom of a bar: word, CSS class, states.
OUTCOMES: tuple[tuple[str, str, tuple[CallState, ...]], ...] = (
    ("succeeded", "ok", (CallState.SUCCEEDED,)),
    ("rolled back", "warn", (CallState.ROLLED_BACK,)),
    ("failed", "bad", (CallState.FAILED,)),
    ("coalesced or rejected", "idle", (CallState.COALESCED, CallState.REJECTED)),
    ("queued or running", "busy", (CallState.QUEUED, CallState.RUNNING)),
)
LEAST = 2  # units of height for an outcome, even if it is one call among thousands


@dataclass(frozen=True)
class OutcomeBar:
    """A rectangle in a chart: the calls with one outcome in one span of time."""

    tone: str
    x: int
    y: float
    height: float


def sum_outcomes(counts: Mapping[tuple[int, str], int], places: int) -> list[list[int]]:
    """Return the numbers of calls for each place, in the order of OUTCOMES, from counts by place and state."""
    return [[sum(counts.get((place, state), 0) for state in states) for *_, states in OUTCOMES] for place in range(places)]


def describe_outcomes(numbers: list[int]) -> str:
    """Return a sentence such as `12 calls, 11 succeeded, 1 failed`."""
    total = sum(numbers)
    said = [f"{number} {word}" for (word, *_), number in zip(OUTCOMES, numbers, strict=True) if number]
    return ", ".join([f"{total} call{'' if total == 1 else 's'}", *said]) if total else "no call"


def stack_outcomes(x: int, numbers: list[int], most: int, height: int) -> list[OutcomeBar]:
    """Stack the outcomes upon each other at `x`; `most` calls fill the height."""
    bars, below = [], float(height)
    for (_, tone, _), number in zip(OUTCOMES, numbers, strict=True):
        if number:
            size = max(number / most * (height - LEAST * len(OUTCOMES)), LEAST)
            below = round(below - size, 2)
            bars.append(OutcomeBar(tone, x, below, round(size, 2)))
    return bars

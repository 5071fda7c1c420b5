"""How calls ended, as the charts stack and word it."""

from collections.abc import Mapping
from dataclasses import dataclass

from triggers.models import CallState

# From the bottom: word, css class, states.
OUTCOMES: tuple[tuple[str, str, tuple[CallState, ...]], ...] = (
    ("succeeded", "ok", (CallState.SUCCEEDED,)),
    ("rolled back", "warn", (CallState.ROLLED_BACK,)),
    ("failed", "bad", (CallState.FAILED,)),
    ("coalesced or rejected", "idle", (CallState.COALESCED, CallState.REJECTED)),
    ("queued or running", "busy", (CallState.QUEUED, CallState.RUNNING)),
)
LEAST = 2  # units of height for what there is, if it is one among thousands


@dataclass(frozen=True)
class Part:
    """A rectangle: the calls of one span of time with one outcome."""

    tone: str
    x: int
    y: float
    height: float


def sum_outcomes(counts: Mapping[tuple[int, str], int], places: int) -> list[list[int]]:
    """For each place the number of calls by outcome, of counts by place and state (triggers.calls.tallies)."""
    return [[sum(counts.get((place, state), 0) for state in states) for *_, states in OUTCOMES] for place in range(places)]


def describe_outcomes(numbers: list[int]) -> str:
    """`12 calls, 11 succeeded, 1 failed`."""
    total = sum(numbers)
    said = [f"{number} {word}" for (word, *_), number in zip(OUTCOMES, numbers, strict=True) if number]
    return ", ".join([f"{total} call{'' if total == 1 else 's'}", *said]) if total else "no call"


def stack_outcomes(x: int, numbers: list[int], most: int, height: int) -> list[Part]:
    """One upon another at `x`; `most` calls fill the height."""
    parts, below = [], float(height)
    for (_, tone, _), number in zip(OUTCOMES, numbers, strict=True):
        if number:
            part = max(number / most * (height - LEAST * len(OUTCOMES)), LEAST)
            below = round(below - part, 2)
            parts.append(Part(tone, x, below, round(part, 2)))
    return parts

"""Values from an engine's JSON, whatever it holds: missing keys, nulls and values of another type read as empty."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from clusters.engine.cleaning import LARGEST_SIZE, NAME_LENGTH, clean_text, read_time

SECOND = 1_000_000_000  # the engine's durations are nanoseconds
MOST_TEXTS, MOST_ARGUMENTS = 50, 200


def as_map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def raw_text(value: Any) -> str:
    return "" if value is None else str(value)


def text_of(value: Any, length: int) -> str:
    return clean_text(raw_text(value)[: 4 * length], length)


def texts_of(values: Any, length: int = NAME_LENGTH) -> tuple[str, ...]:
    return tuple(text_of(value, length) for value in as_list(values)[:MOST_TEXTS])


def arguments_of(value: Any) -> list[str]:
    """Return a command's arguments. Old engines give a single text instead of a list."""
    found = [value] if isinstance(value, str) and value else as_list(value)
    return [raw_text(argument) for argument in found[:MOST_ARGUMENTS]]


def number_of(value: Any, largest: int = LARGEST_SIZE) -> int:
    """Return a whole number, or 0 for anything else. It can be below 0: an exit code, or -1 for no limit."""
    if not isinstance(value, int | float) or isinstance(value, bool) or value != value:  # noqa: PLR0124 - NaN
        return 0
    return int(min(max(value, -largest), largest))


def time_of(value: Any) -> datetime | None:
    return read_time(value) if isinstance(value, str) else None


def duration_of(nanoseconds: Any) -> timedelta | None:
    number = number_of(nanoseconds)
    return timedelta(microseconds=number // 1000) if number > 0 else None


def seconds_of(nanoseconds: Any) -> int:
    return max(number_of(nanoseconds), 0) // SECOND

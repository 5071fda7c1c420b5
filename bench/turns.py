"""Lets Windlass and its peers take turns, so that other load on the machine affects all of them."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

Figure = TypeVar("Figure")


def take_turns(rounds: int, works: Sequence[Callable[[], Figure]]) -> list[list[Figure]]:
    """Run each work once per round and return its figures. The order is reversed in every round."""
    figures: list[list[Figure]] = [[] for _ in works]
    order = list(range(len(works)))
    for _ in range(rounds):
        for index in order:
            figures[index].append(works[index]())
        order.reverse()
    return figures


def clock(work: Callable[[], object]) -> float:
    """Return the seconds that the work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started

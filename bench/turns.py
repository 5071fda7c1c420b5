"""Windlass and its peers by turns, so that what else the machine does meets all of them."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

Figure = TypeVar("Figure")


def take_turns(rounds: int, works: Sequence[Callable[[], Figure]]) -> list[list[Figure]]:
    """The figures of each work; the order turns round with every round."""
    figures: list[list[Figure]] = [[] for _ in works]
    order = list(range(len(works)))
    for _ in range(rounds):
        for index in order:
            figures[index].append(works[index]())
        order.reverse()
    return figures


def clock(work: Callable[[], object]) -> float:
    """Seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started

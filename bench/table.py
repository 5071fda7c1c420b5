"""The table of figures: each row has a figure of Windlass, the peer's from the same run, and the goal.

A bench module has a function `measure() -> Iterable[Row]`. Its arguments are sizes and rounds, all with defaults.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HEADER = ("", "Windlass", "peer", "", "ratio", "goal", "")
MISSED = "<- missed"


@dataclass(frozen=True)
class Row:
    """One figure. `ratio` is Windlass's figure divided by the peer's, as the median over the rounds. `goal` is text; without a
    goal it is empty and `is_met` is true. Without a peer, `peer` is empty, and its figure and the ratio are None."""

    name: str
    value: float
    unit: str
    peer: str
    peer_value: float | None
    ratio: float | None
    goal: str
    is_met: bool


def compare(
    name: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    unit: str,
    peer: str,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Row:
    """Compare figures of the same rounds. The goal applies to the ratio."""
    ratio = statistics.median(our / their for our, their in zip(ours, theirs, strict=True))
    goal, is_met = judge(ratio, "", at_most, at_least)
    return Row(name, statistics.median(ours), unit, peer, statistics.median(theirs), ratio, goal, is_met)


def hold_against(
    name: str,
    figures: Sequence[float],
    unit: str,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
    peer: str = "",
    theirs: Sequence[float] = (),
) -> Row:
    """Compare the figures' median with the goal. The peer's figures are only shown."""
    value = statistics.median(figures)
    goal, is_met = judge(value, f" {unit}", at_most, at_least)
    return Row(name, value, unit, peer, statistics.median(theirs) if theirs else None, None, goal, is_met)


def judge(value: float, unit: str, at_most: float | None, at_least: float | None) -> tuple[str, bool]:
    unit = unit.rstrip()
    if at_most is not None:
        return f"<= {at_most:g}{unit}", value <= at_most
    if at_least is not None:
        return f">= {at_least:g}{unit}", value >= at_least
    return "", True


def format_table(rows: Iterable[Row]) -> str:
    lines = [HEADER, *map(format_row, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    texts = []
    for line in lines:
        cells = [
            cell.rjust(width) if column in {1, 3, 4} else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        texts.append("  ".join(cells).rstrip())
    return "\n".join(texts) + "\n"


def format_row(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        f"{format_figure(row.value)} {row.unit}".rstrip(),
        row.peer,
        "" if row.peer_value is None else f"{format_figure(row.peer_value)} {row.unit}".rstrip(),
        "" if row.ratio is None else f"{row.ratio:.2f}",
        row.goal,
        "" if row.is_met else MISSED,
    )


def format_figure(value: float) -> str:
    """Format with three significant digits, at most two of them after the point."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"

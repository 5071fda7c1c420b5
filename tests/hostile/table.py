"""The table at the end of the suite: an attack in each line, with what the holder and the console noticed of it."""

from collections.abc import Iterable

from tests.hostile.stage import Figures

HEADER = ("attack", "connections", "requests", "link p50", "p99", "max", "control p99", "answered")
USE = ("memory", "kernel", "files", "threads", "rows", "log lines")


def format_table(figures: Iterable[Figures]) -> str:
    """Times are in ms, memory and what the kernel holds for connections in MB."""
    lines = [(*HEADER, *USE), *map(format_line, figures)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(align(line, widths) for line in lines)


def align(line: tuple[str, ...], widths: list[int]) -> str:
    name, *cells = line
    return "  ".join([name.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))])


def format_line(figures: Figures) -> tuple[str, ...]:
    return (
        figures.attack,
        str(figures.tally.get("connections", "")),
        str(figures.tally.get("requests", "")),
        *(f"{figures.link.get(name, 0) * 1000:.0f}" for name in ("p50", "p99", "max")),
        f"{figures.control * 1000:.0f}",
        f"{figures.answered}/{figures.asked}",
        f"{figures.memory / 1e6:.0f}",
        f"{figures.kernel / 1e6:.0f}",
        str(figures.files),
        str(figures.threads),
        str(figures.rows),
        str(figures.lines),
    )

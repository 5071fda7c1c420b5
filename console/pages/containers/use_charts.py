"""What a container used in the last two minutes, as two small charts.

The console keeps no samples: each answer carries them in the address that asks for the next one.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from django.template.defaultfilters import filesizeformat

from clusters.engine.inspection.resource_usage import CpuCounters, ResourceUsage

WINDOW = 120  # seconds
MOST_SAMPLES = 61
WIDTH, HEIGHT, HEADROOM = 240, 48, 4  # in the chart's own units
KIB = 1024
NUMBER = re.compile(r"\d{1,19}")


@dataclass(frozen=True)
class Sample:
    """`at` in seconds of the engine's clock, `cpu` in tenths of a percent of one CPU, `memory` in KiB."""

    at: int
    cpu: int
    memory: int


@dataclass(frozen=True)
class UseHistory:
    """The samples of the last two minutes, the oldest first, and the counters that the next one is measured from."""

    counters: CpuCounters | None = None
    samples: tuple[Sample, ...] = ()

    @classmethod
    def read(cls, text: str) -> "UseHistory":
        """As `write` writes it; empty for anything else."""
        parts = [tuple(part.split(".")) for part in text.split("-")]
        if not all(NUMBER.fullmatch(number) for part in parts for number in part):
            return cls()
        if len(parts[0]) != 2 or len(parts) > MOST_SAMPLES + 1 or any(len(part) != 3 for part in parts[1:]):
            return cls()
        numbers = [[int(number) for number in part] for part in parts]
        return cls(CpuCounters(*numbers[0]), tuple(Sample(*part) for part in numbers[1:]))

    def write(self) -> str:
        """Fit for an address: `container.system-at.cpu.memory-at.cpu.memory`."""
        if self.counters is None:
            return ""
        head = f"{self.counters.container}.{self.counters.system}"
        return "-".join([head, *(f"{sample.at}.{sample.cpu}.{sample.memory}" for sample in self.samples)])

    def add(self, use: ResourceUsage) -> "UseHistory":
        """A use without a measured CPU gives no sample, only counters."""
        now = int(use.read_at.timestamp())
        kept = [sample for sample in self.samples if now - WINDOW <= sample.at < now]
        if use.cpu_percent is not None:
            kept.append(Sample(now, round(use.cpu_percent * 10), use.memory // KIB))
        return UseHistory(use.counters, tuple(kept[-MOST_SAMPLES:]))


@dataclass(frozen=True)
class UseChart:
    """`line` and `area` are the points of a polyline and of the polygon under it. `text` says the same in a sentence."""

    title: str
    line: str
    area: str
    most: str
    text: str
    width: int = WIDTH
    height: int = HEIGHT


def draw_charts(history: UseHistory) -> list[UseChart]:
    """Of CPU and memory; none before there is a sample."""
    if not history.samples:
        return []
    return [
        draw_chart("CPU", [(sample.at, sample.cpu) for sample in history.samples], lambda cpu: f"{cpu / 10:.1f} %", floor=10),
        draw_chart(
            "Memory",
            [(sample.at, sample.memory) for sample in history.samples],
            lambda kib: filesizeformat(kib * KIB),
            floor=KIB,
        ),
    ]


def draw_chart(title: str, values: list[tuple[int, int]], write: Callable[[int], str], floor: int) -> UseChart:
    """`values`: (second, value), the oldest first. What stays below `floor` does not fill the chart."""
    last, most = values[-1][0], max(value for _, value in values)
    scale = (HEIGHT - HEADROOM) / max(most, floor)
    points = [(round(WIDTH * (1 - (last - at) / WINDOW), 1), round(HEIGHT - value * scale, 1)) for at, value in values]
    line = " ".join(f"{x},{y}" for x, y in points)
    return UseChart(
        title=title,
        line=line,
        area=f"{points[0][0]},{HEIGHT} {line} {points[-1][0]},{HEIGHT}",
        most=write(most),
        text=f"{title} in the last 2 minutes: {write(values[-1][1])} now, {write(most)} at most.",
    )

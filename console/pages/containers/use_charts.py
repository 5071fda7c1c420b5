"""Charts of a container's resource use in the last two minutes.

The console stores no samples: each response carries them in the address of the next request.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from django.template.defaultfilters import filesizeformat

from clusters.engine.inspection.resource_usage import CpuCounters, ResourceUsage

WINDOW = 120  # seconds
MOST_SAMPLES = 61
WIDTH, HEIGHT, HEADROOM = 240, 48, 4  # in units of the chart
KIB = 1024
NUMBER = re.compile(r"\d{1,19}")


@dataclass(frozen=True)
class Sample:
    """A measurement: `at` in seconds of the engine's clock, `cpu` in tenths of a percent of one CPU, `memory` in KiB."""

    at: int
    cpu: int
    memory: int


@dataclass(frozen=True)
class UseHistory:
    """The samples of the last two minutes, oldest first, and the counters from which the next one is computed."""

    counters: CpuCounters | None = None
    samples: tuple[Sample, ...] = ()

    @classmethod
    def read(cls, text: str) -> "UseHistory":
        """Parse what `write` wrote; anything else gives an empty history."""
        parts = [tuple(part.split(".")) for part in text.split("-")]
        if not all(NUMBER.fullmatch(number) for part in parts for number in part):
            return cls()
        if len(parts[0]) != 2 or len(parts) > MOST_SAMPLES + 1 or any(len(part) != 3 for part in parts[1:]):
            return cls()
        numbers = [[int(number) for number in part] for part in parts]
        return cls(CpuCounters(*numbers[0]), tuple(Sample(*part) for part in numbers[1:]))

    def write(self) -> str:
        """Serialise for an address: `container.system-at.cpu.memory-at.cpu.memory`."""
        if self.counters is None:
            return ""
        head = f"{self.counters.container}.{self.counters.system}"
        return "-".join([head, *(f"{sample.at}.{sample.cpu}.{sample.memory}" for sample in self.samples)])

    def add(self, use: ResourceUsage) -> "UseHistory":
        """Return the history with one more use. A use without a measured CPU updates only the counters."""
        now = int(use.read_at.timestamp())
        kept = [sample for sample in self.samples if now - WINDOW <= sample.at < now]
        if use.cpu_percent is not None:
            kept.append(Sample(now, round(use.cpu_percent * 10), use.memory // KIB))
        return UseHistory(use.counters, tuple(kept[-MOST_SAMPLES:]))


@dataclass(frozen=True)
class Stop:
    """A strip of the chart that shows the value of one sample when it is pointed at."""

    left: float
    width: float
    text: str


@dataclass(frozen=True)
class UseChart:
    """A chart: the points of a polyline and of the polygon under it. `text` describes it in a sentence."""

    title: str
    line: str
    area: str
    now: str
    most: str
    text: str
    stops: tuple[Stop, ...]
    width: int = WIDTH
    height: int = HEIGHT


def draw_charts(history: UseHistory) -> list[UseChart]:
    """Draw CPU and memory; no chart before the first sample."""
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
    """Draw `values`, pairs of second and value, oldest first. Values below `floor` do not fill the chart's height."""
    last, most = values[-1][0], max(value for _, value in values)
    scale = (HEIGHT - HEADROOM) / max(most, floor)
    points = [(round(WIDTH * (1 - (last - at) / WINDOW), 1), round(HEIGHT - value * scale, 1)) for at, value in values]
    line = " ".join(f"{x},{y}" for x, y in points)
    return UseChart(
        title=title,
        line=line,
        area=f"{points[0][0]},{HEIGHT} {line} {points[-1][0]},{HEIGHT}",
        now=write(values[-1][1]),
        most=write(most),
        stops=tuple(_make_stops([x for x, _ in points], [f"{write(value)}, {last - at} s ago" for at, value in values])),
        text=f"{title} in the last 2 minutes: {write(values[-1][1])} now, {write(most)} at most.",
    )


def _make_stops(places: list[float], texts: list[str]) -> Iterator[Stop]:
    """Divide the chart between its samples: each strip reaches half-way to the next one."""
    edges = [places[0], *((left + right) / 2 for left, right in pairwise(places)), places[-1]]
    for (left, right), text in zip(pairwise(edges), texts, strict=True):
        yield Stop(round(left, 1), round(max(right - left, 1), 1), text)

"""All benchmarks in one table: `python -m bench [--only WORD] [--rounds N] [--output FILE]`, as root."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bench import scale
from bench.table import Row, format_table

PARTS: dict[str, Callable[[argparse.Namespace], Iterable[Row]]] = {
    "scale": lambda options: scale.measure(**options.rounds),
}


def main() -> None:
    options = read_options()
    options.rounds = {"rounds": options.rounds} if options.rounds else {}
    started, loads = time.monotonic(), [os.getloadavg()[0]]
    rows: list[Row] = []
    for name in [name for name in PARTS if options.only in name]:
        begun = time.monotonic()
        print(f"{name} …", end=" ", flush=True, file=sys.stderr)
        rows += PARTS[name](options)
        loads.append(os.getloadavg()[0])
        print(f"{time.monotonic() - begun:.0f} s", file=sys.stderr)
    text = format_table(rows)
    print(text)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="WORD", help=f"parts whose name has this word: {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=0, help="instead of each part's own number")
    parser.add_argument("--output", type=Path, help="a file for the table")
    return parser.parse_args()


if __name__ == "__main__":
    main()

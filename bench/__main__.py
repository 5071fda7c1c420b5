"""Runs the benchmarks and prints one table: `python -m bench [--only WORD]... [--rounds N] [--output FILE]`, as root."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench import fifty, hook, idle, redeploy, scale, storm, swarm_redeploy
from bench.table import Row, format_table

# Each part with its sizes. `rounds` is empty unless --rounds is given.
PARTS: dict[str, Callable[[argparse.Namespace, dict[str, int]], Iterable[Row]]] = {
    "hook": lambda sizes, rounds: hook.measure(**rounds),
    "scale": lambda sizes, rounds: scale.measure(containers=sizes.containers, **rounds),
    "redeploy": lambda sizes, rounds: redeploy.measure(containers=sizes.containers, **rounds),
    "swarm": lambda sizes, rounds: swarm_redeploy.measure(**rounds),
    "storm": lambda sizes, rounds: storm.measure(calls=sizes.calls, peer_calls=sizes.peer_calls),
    "fifty": lambda sizes, rounds: fifty.measure(applications=sizes.applications, **rounds),
    "idle": lambda sizes, rounds: idle.measure(seconds=sizes.idle),
}


def main() -> None:
    options = read_options()
    rounds = {"rounds": options.rounds} if options.rounds else {}
    loads, started = [os.getloadavg()[0]], time.monotonic()
    rows: list[Row] = []
    for name in choose_parts(options.only):
        begun = time.monotonic()
        print(f"{name} …", flush=True, file=sys.stderr)
        found = list(PARTS[name](options, rounds))
        rows += found
        loads.append(os.getloadavg()[0])
        print(f"{format_table(found)}{time.monotonic() - begun:.0f} s\n", flush=True, file=sys.stderr)
    text = "\n".join([format_table(rows), describe_run(loads, time.monotonic() - started)])
    print(f"\n{text}")
    if options.output:
        options.output.write_text(text + "\n")


def choose_parts(words: Sequence[str]) -> list[str]:
    """Return the parts whose name contains one of the words, or all parts if there is no word. Raises SystemExit if a word is
    in no name."""
    for word in words:
        if not any(word in name for name in PARTS):
            raise SystemExit(f"No part's name contains {word!r}. The parts are {', '.join(PARTS)}.")
    return [name for name in PARTS if not words or any(word in name for word in words)]


def describe_run(loads: list[float], seconds: float) -> str:
    shown = " ".join(f"{load:.1f}" for load in loads)
    return (
        "Figures are medians of the rounds. Ratios are medians of each round's ratio. Windlass's monitor period is 0 if a\n"
        "peer does not watch containers after their start: in scale, redeploy and fifty.\n"
        f"{os.cpu_count()} cores, load before and after each part: {shown}; {seconds:.0f} s."
    )


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="WORD",
        help=f"run only parts whose name contains WORD; can be given several times. Parts: {', '.join(PARTS)}",
    )
    parser.add_argument("--rounds", type=int, default=0, help="number of rounds, instead of each part's own number")
    parser.add_argument("--output", type=Path, help="also write the table to this file")
    parser.add_argument("--containers", type=int, default=20, help="containers to add, and to redeploy (%(default)s)")
    parser.add_argument("--calls", type=int, default=1000, help="calls of a storm (%(default)s)")
    parser.add_argument("--peer-calls", type=int, default=storm.PEER_CALLS, help="calls of a storm for webhook (%(default)s)")
    parser.add_argument("--applications", type=int, default=50, help="applications to redeploy at once (%(default)s)")
    parser.add_argument("--idle", type=float, default=idle.SECONDS, help="seconds to measure while idle (%(default)g)")
    return parser.parse_args()


if __name__ == "__main__":
    main()

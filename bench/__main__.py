"""All benchmarks in one table: `python -m bench [--only WORD] [--rounds N] [--output FILE]`, as root."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bench import fifty, hook, idle, redeploy, scale, storm, swarm_redeploy
from bench.table import Row, format_table

# Each part with its sizes; `rounds` is empty, or holds the number that was asked for.
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
    for name in [name for name in PARTS if options.only in name]:
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


def describe_run(loads: list[float], seconds: float) -> str:
    shown = " ".join(f"{load:.1f}" for load in loads)
    return (
        "Figures are medians of the rounds, ratios the medians of the rounds' own. Windlass's monitor period is 0 where the\n"
        "peer looks at nothing after a start: in scale, redeploy and applications at once.\n"
        f"{os.cpu_count()} cores, load before and after each part: {shown}; {seconds:.0f} s."
    )


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="WORD", help=f"parts whose name has this word: {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=0, help="instead of each part's own number")
    parser.add_argument("--output", type=Path, help="a file for the table, too")
    parser.add_argument("--containers", type=int, default=20, help="that are added, and redeployed (%(default)s)")
    parser.add_argument("--calls", type=int, default=1000, help="of a storm (%(default)s)")
    parser.add_argument("--peer-calls", type=int, default=storm.PEER_CALLS, help="of a storm for webhook (%(default)s)")
    parser.add_argument("--applications", type=int, default=50, help="redeployed at once (%(default)s)")
    parser.add_argument("--idle", type=float, default=idle.SECONDS, help="seconds of idling (%(default)g)")
    return parser.parse_args()


if __name__ == "__main__":
    main()

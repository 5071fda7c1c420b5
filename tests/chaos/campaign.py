"""Runs many trials on several machines in parallel, and prints a table of the results."""

import argparse
import itertools
import json
import os
import queue
import random
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.chaos.trials import DESCRIPTIONS, TIMED, Trial, list_deaths, list_rehearsals, list_timed, parse_trial

COLUMNS = {
    "lost": "calls or containers lost",
    "outcome": "wrong outcomes",
    "leftover": "leftovers",
    "data": "settings or data changed",
    "under-count": "under count",
    "together": "two workers at once",
    "other": "trials that broke off",
}
# It ends with this process, and its mounts with it.
WRAPPER = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private")
BASE_DIR = Path(__file__).resolve().parents[2]


class Lane:
    """A process with a machine of its own, see tests.chaos.lane."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._process = subprocess.Popen(
            [*WRAPPER, sys.executable, "-m", "tests.chaos.lane", place],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=BASE_DIR,
            env={**os.environ, "PYTHONPATH": str(BASE_DIR)},
        )

    def run(self, trial: Trial) -> dict[str, Any]:
        """Run a trial and return its result. A lane that broke down cannot be used again."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(f"{trial}\n")
            self._process.stdin.flush()
            return dict(json.loads(self._process.stdout.readline()))
        except (OSError, ValueError) as error:
            self.stop()
            faults = [["other", f"the machine broke down: {error}"]]
            return {"trial": str(trial), "faults": faults, "operations": [], "deaths": 0}

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self) -> None:
        assert self._process.stdin
        with suppress(OSError):
            self._process.stdin.close()
        self._process.wait(60)


class Campaign:
    """The lanes by place. Each trial goes to a lane that is free."""

    def __init__(self, lanes: int, say: Callable[[str], None]) -> None:
        self._wanted = {"plain": lanes, "swarm": 1, "postgres": 1}
        self._lanes: dict[str, list[Lane]] = defaultdict(list)
        self._say = say
        self._lock = threading.Lock()

    def run(self, trials: Iterable[Trial]) -> list[dict[str, Any]]:
        """Run the trials and yield results in the order in which they end."""
        waiting: dict[str, queue.SimpleQueue[Trial]] = defaultdict(queue.SimpleQueue)
        sizes: Counter[str] = Counter()
        for trial in trials:
            waiting[trial.place].put(trial)
            sizes[trial.place] += 1
        results: list[dict[str, Any]] = []
        threads = []
        for place, size in sizes.items():
            while len(self._lanes[place]) < min(self._wanted[place], size):
                self._lanes[place].append(Lane(place))
            for number in range(min(len(self._lanes[place]), size)):
                threads.append(threading.Thread(target=self._work, args=(place, number, waiting[place], results)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def _work(self, place: str, number: int, waiting: "queue.SimpleQueue[Trial]", results: list[dict[str, Any]]) -> None:
        with suppress(queue.Empty):
            while True:
                trial = waiting.get_nowait()
                if self._lanes[place][number].has_ended():
                    self._lanes[place][number] = Lane(place)
                result = self._lanes[place][number].run(trial)
                with self._lock:
                    results.append(result)
                    self._say(describe(result, len(results)))

    def stop(self) -> None:
        for lane in (lane for lanes in self._lanes.values() for lane in lanes):
            lane.stop()


def describe(result: dict[str, Any], number: int) -> str:
    verdict = "; ".join(f"{kind}: {text}" for kind, text in result["faults"]) or "well"
    return f"{number:4} {result['trial']:40} {result.get('seconds', 0):5.1f} s  {verdict}"


@contextmanager
def open_campaign(lanes: int, say: Callable[[str], None] = print) -> Iterator[Campaign]:
    campaign = Campaign(lanes, say)
    try:
        yield campaign
    finally:
        campaign.stop()


def tabulate(results: Sequence[dict[str, Any]], label: Callable[[Trial], str]) -> Iterator[str]:
    """Return a line for each label: the number of trials, of deaths, and of trials with each kind of problem."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for result in results:
        groups[label(parse_trial(result["trial"]))].append(result)
    width = max(map(len, [*groups, "together"]))
    yield f"| {'':{width}} | trials | deaths | {' | '.join(COLUMNS.values())} |"
    yield f"|{'-' * (width + 2)}|{'|'.join('---:' for _ in range(len(COLUMNS) + 2))}|"
    for name, group in [*sorted(groups.items()), ("together", list(results))]:
        found = Counter(kind if kind in COLUMNS else "other" for result in group for kind in {k for k, _ in result["faults"]})
        cells = [str(found[kind]) for kind in COLUMNS]
        yield f"| {name:{width}} | {len(group)} | {sum(result['deaths'] for result in group)} | {' | '.join(cells)} |"


def deal(trials: Iterable[Trial], chance: random.Random) -> list[Trial]:
    """Shuffle the trials, but take each kind and act in turn, so that those with few operations are included."""
    piles: dict[tuple[str, str], list[Trial]] = defaultdict(list)
    for trial in trials:
        piles[trial.kind_name, trial.act].append(trial)
    for pile in piles.values():
        chance.shuffle(pile)
    return [trial for row in itertools.zip_longest(*piles.values()) for trial in row if trial]


def choose_trials(campaign: Campaign, seed: int, count: int, each: int) -> tuple[list[dict[str, Any]], list[Trial]]:
    """Run rehearsals, then choose `count` trials (0: all) among all deaths at operations and `each` of every other fault."""
    chance = random.Random(seed)
    rehearsed = campaign.run(list_rehearsals())
    operations = {}
    for result in rehearsed:
        trial = parse_trial(result["trial"])
        operations[trial.kind_name, trial.act] = len(result["operations"])
    ordered = {key: operations[key] for key in sorted(operations)}
    timed = list_timed(chance, [fault for fault in TIMED if fault != "worker"], each)
    timed += list_timed(chance, ["worker"], each * 6)
    deaths = deal(list_deaths(ordered, chance), chance)
    room = max(count - len(rehearsed) - len(timed), 0) if count else len(deaths)
    chosen = [*deaths[:room], *timed]
    chance.shuffle(chosen)
    return rehearsed, chosen


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--trials", type=int, default=0, help="how many in all; without it every operation is died at")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=4, help="trials of every fault that is at a random moment")
    parser.add_argument("--lanes", type=int, default=4, help="machines side by side")
    parser.add_argument("--trial", action="append", default=[], help="only this one, by its name; may be repeated")
    parser.add_argument("--results", type=Path, help="a file for all that is known of each trial, a JSON line each")
    options = parser.parse_args()
    began = time.monotonic()
    with open_campaign(options.lanes, lambda line: print(line, flush=True)) as campaign:
        if options.trial:
            results = campaign.run(map(parse_trial, options.trial))
        else:
            rehearsed, chosen = choose_trials(campaign, options.seed, options.trials, options.each)
            results = rehearsed + campaign.run(chosen)
    if options.results:
        options.results.write_text("".join(f"{json.dumps(result)}\n" for result in results))
    return report(results, options.seed, time.monotonic() - began)


def report(results: Sequence[dict[str, Any]], seed: int, seconds: float) -> int:
    print(f"\n{len(results)} trials, seed {seed}, {seconds / 60:.1f} min\n")
    print("\n".join(tabulate(results, lambda trial: DESCRIPTIONS[trial.fault])), end="\n\n")
    print("\n".join(tabulate(results, lambda trial: f"{trial.kind_name} {trial.act}")), end="\n\n")
    failed = [result for result in results if result["faults"]]
    for result in failed:
        print(f"python -m tests.chaos --trial {result['trial']}")
        print("\n".join(f"    {kind}: {text}" for kind, text in result["faults"]))
    return 1 if failed else 0

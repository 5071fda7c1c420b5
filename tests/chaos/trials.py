"""What is tried: an application's kind, what is asked of it, and a fault. Its name repeats a trial exactly, as far as moments
allow: `volume/redeploy/during:4` dies while the fourth operation is under way, `volume/redeploy/worker:1.25` 1.25 s after the
call began to run.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.chaos.applications import KINDS, Kind
from tests.chaos.faults import MOMENTS

# Faults at a random moment, and the place where they can happen: an engine of the named sort.
TIMED = {
    "worker": "the worker is killed",
    "console": "web, worker and watcher are killed and started again",
    "engine": "the engine and all containers are killed, and it is started again",
    "machine": "everything is killed and started again",
    "twice": "the message is delivered three times, to two workers",
    "lost": "the message is lost",
    "ahead": "one worker's clock jumps an hour ahead",
    "behind": "one worker's clock jumps an hour back",
    "lapsed": "the database's clock jumps ahead by more than a lease",
    "frozen": "the worker stands still for 5 s, and goes on",
    "locked": "another process locks the database for 10 s",
    "full": "the database's disk is full for 4 s",
    "cut": "PostgreSQL ends all connections",
}
DESCRIPTIONS = {
    "none": "no fault",
    **{moment: f"the worker is killed {moment} an operation" for moment in MOMENTS},
    **TIMED,
}
# Restarted engines start what their restart policies name: an application without them cannot come back by itself.
RESTARTABLE = ("volume", "start-first", "anonymous", "project", "bad", "clones", "swarm")
NOMINAL_SECONDS = {"vanishing": 1.5, "port": 1.5, "anonymous": 4.0, "clones": 4.0, "project": 4.0, "swarm": 5.0}


@dataclass(frozen=True)
class Trial:
    """`fault` with its number: an operation from 1 on or a moment in seconds. `again`: a second death at this operation of the
    worker that takes over."""

    kind_name: str
    act: str
    fault: str = "none"
    number: float = 0
    again: int = 0

    @property
    def kind(self) -> Kind:
        return KINDS[self.kind_name]

    @property
    def place(self) -> str:
        """The machine that the trial needs."""
        return {"cut": "postgres"}.get(self.fault, "swarm" if self.kind.on_swarm else "plain")

    def __str__(self) -> str:
        number = f":{self.number:g}" if self.number else ""
        return f"{self.kind_name}/{self.act}/{self.fault}{number}{f'+{self.again}' if self.again else ''}"


def parse_trial(name: str) -> Trial:
    kind, act, fault = name.split("/")
    fault, _, number = fault.partition(":")
    number, _, again = number.partition("+")
    if kind not in KINDS or fault not in DESCRIPTIONS:
        raise ValueError(f"{name} is no trial")
    return Trial(kind, act, fault, float(number or 0), int(again or 0))


def list_rehearsals() -> list[Trial]:
    """Return each kind and act without a fault. They show how many operations there are to die at."""
    return [Trial(name, act) for name, kind in KINDS.items() for act in kind.acts]


def list_deaths(operations: Mapping[tuple[str, str], int], chance: random.Random) -> list[Trial]:
    """Return deaths before, during and after every operation. Every fourth worker that takes over dies too."""
    return [
        Trial(kind, act, moment, number, chance.randint(1, count) if chance.random() < 0.25 else 0)
        for (kind, act), count in operations.items()
        for number in range(1, count + 1)
        for moment in MOMENTS
    ]


def list_timed(chance: random.Random, faults: Iterable[str], each: int) -> list[Trial]:
    """Return `each` trials of every fault, at random moments, with random kinds that it can affect."""
    found = []
    for fault in faults:
        if fault in {"engine", "machine"}:
            chosen = [Trial(name, act) for name in RESTARTABLE for act in KINDS[name].acts if act != "queue"]
        elif fault in {"worker", "console", "frozen"}:
            chosen = list_rehearsals()
        else:
            chosen = [trial for trial in list_rehearsals() if not trial.kind.on_swarm]
        for _ in range(each):
            trial = chance.choice(chosen)
            moment = round(chance.uniform(0.02, NOMINAL_SECONDS.get(trial.kind_name, 3.0)), 2)
            found.append(Trial(trial.kind_name, trial.act, fault, 0 if fault == "lost" else moment))
    return found

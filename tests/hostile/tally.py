"""What an attack aims at, and what it counts."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field

UP = "up"  # an attacker that goes on in the background prints this when all of its connections are there


@dataclass(frozen=True)
class Target:
    """The console that is attacked. `bundle` is the path of a large static file. `link` is a valid link, for the one
    attack that says so; all others are anonymous."""

    port: int
    bundle: str
    link: str


@dataclass
class Tally:
    """`answers` counts statuses; 0 is for a connection that ended without one. `ages` are the seconds after which the console
    ended connections, and `left_open` counts those that it did not end. `problems` are sentences: what was answered wrong."""

    connections: int = 0
    requests: int = 0
    answers: dict[str, int] = field(default_factory=dict)
    ages: list[float] = field(default_factory=list)
    left_open: int = 0
    problems: list[str] = field(default_factory=list)

    def count(self, status: int) -> None:
        self.answers[str(status)] = self.answers.get(str(status), 0) + 1

    def note(self, problem: str) -> None:
        if len(self.problems) < 50:
            self.problems.append(problem)

    def to_json(self) -> str:
        return json.dumps(asdict(self))


Attack = Callable[[Target, Tally], Awaitable[None]]
ATTACKS: dict[str, Attack] = {}


def attack(function: Attack) -> Attack:
    """Make an attack known by its name."""
    ATTACKS[function.__name__] = function
    return function


def report_up() -> None:
    print(UP, flush=True)


def run(name: str, target: Target) -> None:
    """Run an attack and print its tally."""
    tally = Tally()
    asyncio.run(ATTACKS[name](target, tally))
    print(tally.to_json(), flush=True)

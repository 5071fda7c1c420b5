"""Runs a sample of the trials, one of each sort. `make chaos` runs them all."""

from collections.abc import Iterator

import pytest

from tests.chaos.campaign import Lane
from tests.chaos.trials import parse_trial

SAMPLE = (
    "volume/redeploy/during:3",
    "volume/redeploy/after:5+4",
    "volume/out/after:2",
    "start-first/redeploy/after:4",
    "start-first/queue/before:3",
    "anonymous/redeploy/before:6",
    "clones/in/after:2",
    "bad/redeploy/after:3",
    "bad/redeploy/before:6",
    "vanishing/redeploy/during:4",
    "project/redeploy/worker:1.5",
    "port/redeploy/machine:0.8",
    "lone/out/lost",
    "swarm/redeploy/after:2",
    "swarm/out/during:1",
    "swarm-bad/redeploy/before:3",
)


@pytest.fixture(scope="module")
def lanes() -> Iterator[dict[str, Lane]]:
    """Run the machines by their places: a plain engine and a Swarm."""
    found = {place: Lane(place) for place in ("plain", "swarm")}
    yield found
    for lane in found.values():
        lane.stop()


@pytest.mark.parametrize("name", SAMPLE)
def test_the_engine_says_that_all_is_well_after(name: str, lanes: dict[str, Lane]) -> None:
    trial = parse_trial(name)
    result = lanes[trial.place].run(trial)
    assert not result["faults"], result

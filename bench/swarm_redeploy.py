"""Measures what Windlass adds to a redeploy by Swarm: `python -m bench --only swarm`.

The peer is `docker service update --force`, which waits until the same service has converged. Both take turns on one service
of three tasks with Swarm's defaults, on a private Swarm of one node. Windlass is measured from the call of a link with `wait=`
to its response.
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from bench.processes import stilled
from bench.site import call_until_done
from bench.table import Row, compare
from bench.turns import clock, take_turns
from tests.harness.console import run_console
from tests.harness.swarm import run_swarm

ROUNDS = 2
SERVICE = "bench"
GOAL = 1.05


def measure(rounds: int = ROUNDS, tasks: int = 3) -> Iterable[Row]:
    with tempfile.TemporaryDirectory() as folder, run_swarm() as swarm:
        swarm.create_service(SERVICE, swarm.publish(SERVICE), f"--replicas={tasks}")
        swarm.wait_for_tasks(SERVICE, tasks)
        with run_console(Path(folder) / "data", swarm.endpoint_url) as console:
            trigger = console.create_trigger(SERVICE, "redeploy")

            def by_link() -> float:
                return clock(lambda: call_until_done(trigger))

            def by_docker() -> float:
                with stilled(console.process.pid):
                    return clock(lambda: swarm.docker("service", "update", "--force", "--quiet", SERVICE))

            for work in (by_link, by_docker):  # the first round fills the caches
                work()
            ours, theirs = take_turns(rounds, (by_link, by_docker))
    yield compare(f"Swarm redeploy of {tasks} tasks", ours, theirs, "s", "docker service update --force", at_most=GOAL)

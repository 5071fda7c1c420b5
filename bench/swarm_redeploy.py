"""What following a redeploy costs beside Swarm itself: `python -m bench.swarm_redeploy [rounds]`.

The peer is `docker service update --force`, which waits until the same service has converged. Both take turns on one service
of three tasks with Swarm's own defaults, on a private Swarm of one node; ours is the whole way from the call of a link with
`wait=` to its answer. The ratio has to be at most 1.05.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.harness.console import call_link, run_console
from tests.harness.swarm import run_swarm

ROUNDS = 5
SERVICE = "bench"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as folder, run_swarm() as swarm:
        swarm.create_service(SERVICE, swarm.publish(SERVICE), "--replicas=3")
        swarm.wait_for_tasks(SERVICE, 3)
        with run_console(Path(folder) / "data", swarm.endpoint_url) as console:
            trigger = console.create_trigger(SERVICE, "redeploy")

            def call() -> None:
                status, answer = call_link(trigger, wait=600)
                assert status == 200, answer

            def force() -> None:
                swarm.docker("service", "update", "--force", "--quiet", SERVICE)

            for work in (call, force):  # the first of each reads what the next ones find in caches
                work()
            pairs = [(measure(call), measure(force)) for _ in range(rounds)]
    ours, peer = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    print(f"{rounds} rounds: by link {ours:.2f} s, docker service update --force {peer:.2f} s, ratio {ratio:.3f}")


def measure(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()

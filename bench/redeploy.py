"""Redeploys 20 containers while their service gets requests: `python -m bench --only redeploy`.

The peer is `docker-compose up --force-recreate` of the same project, which replaces all containers at once. Windlass does the
same here (`windlass.update.parallelism`), with a monitor period of 0, because the peer does not watch containers after their
start. A container in the same network requests the service by its name all the time (requester.py). Its slowest responses, on
both sides, come from addresses that were resolved just before their container was removed: nothing refuses a connection to
them, and the next address is tried after the patience of 2 s.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.site import PORT, Site, call_until_done, run_site
from bench.table import Row, compare, hold_against
from bench.turns import clock, take_turns
from tests.harness.eventually import eventually
from tests.harness.images import BASE

PROJECT = "redeploys"
ROUNDS = 3
PEER = "docker-compose up --force-recreate"


@dataclass
class Redeploy:
    """The figures of one redeploy. `slowest` is the time of the slowest response in seconds."""

    seconds: float
    answered: int
    lost: int
    slowest: float


def measure(rounds: int = ROUNDS, containers: int = 20) -> Iterable[Row]:
    with run_site() as site:
        project = site.make_project(PROJECT)
        project.up("--scale", f"web={containers}")
        trigger = site.console.create_trigger(PROJECT, "redeploy")

        def by_link() -> Redeploy:
            return watch(lambda: call_until_done(trigger))

        def by_compose() -> Redeploy:
            with site.stilled():
                return watch(lambda: project.up("--force-recreate", "--scale", f"web={containers}"))

        def watch(work: Callable[[], object]) -> Redeploy:
            before = set(site.list_containers(PROJECT))
            assert len(before) == containers
            found: dict[str, float] = {}
            with requests_sent(site, found):
                seconds = clock(work)
            assert not before & set(site.list_containers(PROJECT)), "some were not replaced"
            site.settle()
            return Redeploy(seconds, int(found["answered"]), int(found["lost"]), found["slowest"])

        ours, theirs = take_turns(rounds, (by_link, by_compose))
    name = f"redeploy of {containers} containers, all at a time"
    yield compare(name, [one.seconds for one in ours], [one.seconds for one in theirs], "s", PEER, at_most=1)
    lost, peers_lost = ([1000 * sum(one.lost for one in of_all) / count_requests(of_all)] for of_all in (ours, theirs))
    yield hold_against(
        f"  lost of 1,000 requests ({count_requests(ours):,} sent)", lost, "", at_most=0, peer=PEER, theirs=peers_lost
    )
    slowest, peers = ([one.slowest for one in of_all] for of_all in (ours, theirs))
    yield hold_against("  slowest answer", slowest, "s", peer=PEER, theirs=peers)


def count_requests(redeploys: Iterable[Redeploy]) -> int:
    return sum(one.answered + one.lost for one in redeploys)


@contextmanager
def requests_sent(site: Site, found: dict[str, float]) -> Iterator[None]:
    """Run a container that requests the service while the context is active. `found` gets its figures at the end."""
    script = Path(__file__).with_name("requester.py")
    folders = {folder for folder in ("/usr", "/lib", "/lib64", sys.base_prefix) if os.path.exists(folder)}
    body = {
        "Image": BASE,
        "Cmd": [os.path.realpath(sys.executable), "-u", "/requester.py", "web", str(PORT)],
        "HostConfig": {
            "NetworkMode": f"{PROJECT}_default",
            "Binds": [*(f"{folder}:{folder}:ro" for folder in sorted(folders)), f"{script}:/requester.py:ro"],
        },
    }
    container = site.api.create_container_from_config(body, "requester")["Id"]
    try:
        site.api.start(container)
        eventually(lambda: site.api.logs(container), within=60, what="the service answers the requester")
        yield
        site.api.stop(container, timeout=120)  # one last request can try every address in vain
        last = eventually(lambda: site.api.logs(container).splitlines()[1:], within=10, what="the requester's figures")
        found.update(json.loads(last[0]))
    finally:
        site.api.remove_container(container, force=True)

"""Redeploys many applications at once: `python -m bench --only fifty`.

The peer runs `docker-compose up --force-recreate` for each, with as many at a time as Windlass runs calls. Windlass is
measured from the first call of a link to the end of the last call. Its monitor period is 0, because the peer does not watch
containers after their start.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings

from bench.site import Site, call_until_done, run_site
from bench.table import Row, compare
from bench.turns import clock, take_turns
from tests.harness.compose import ComposeProject

ROUNDS = 1  # one takes a minute, and the figures are far apart


def measure(rounds: int = ROUNDS, applications: int = 50) -> Iterable[Row]:
    at_once = settings.WORKER_THREADS
    with run_site() as site, ThreadPoolExecutor(at_once) as few, ThreadPoolExecutor(applications) as all_at_once:
        projects = [site.make_project(f"many{number}") for number in range(applications)]
        list(few.map(lambda project: project.up(), projects))
        triggers = [site.console.create_trigger(project.name, "redeploy") for project in projects]

        def by_links() -> float:
            return replace(lambda: list(all_at_once.map(call_until_done, triggers)))

        def by_compose() -> float:
            def recreate(project: ComposeProject) -> None:
                project.up("--force-recreate")

            with site.stilled():
                return replace(lambda: list(few.map(recreate, projects)))

        def replace(work: Callable[[], Any]) -> float:
            before = list_all(site)
            seconds = clock(work)
            after = list_all(site)
            assert len(before) == len(after) == applications
            assert not before & after, "some were not replaced"
            site.settle()
            return seconds

        ours, theirs = take_turns(rounds, (by_links, by_compose))
    peer = f"docker-compose up --force-recreate, {at_once} at once"
    yield compare(f"{applications} applications redeployed at once", ours, theirs, "s", peer, at_most=1)


def list_all(site: Site) -> set[str]:
    return {container["Id"] for container in site.api.containers()}

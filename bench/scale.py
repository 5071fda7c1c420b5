"""Scales a service from 1 container to 21: `python -m bench --only scale`.

All figures are seconds until the 20 new containers run. The monitor period is 0, because no peer has one. One peer is
`docker-compose up --scale` on the same project. The other is the engine's API, which creates containers of the same
configuration with as many parallel requests as Windlass uses. Windlass is measured as the whole program (from the call of a
link with `wait=` to its response), and as its driver alone (connect, observe, plan, execute).
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.site import Site, call_until_done, run_site
from bench.table import Row, compare
from bench.turns import clock, take_turns
from clusters.engine.lanes import LANES_AT_ONCE
from tests.harness import driving

PROJECT = "scaling"
ROUNDS = 3
GOAL = 1.15


def measure(rounds: int = ROUNDS, containers: int = 20) -> Iterable[Row]:
    with run_site() as site:
        project = site.make_project(PROJECT)
        project.up()
        trigger = site.console.create_trigger(PROJECT, "scaling", "web")
        wanted = containers + 1

        def by_link() -> float:
            return take(lambda: call_until_done(trigger, type="scale_out", step=containers))

        def by_driver() -> float:
            with site.stilled():
                return take(lambda: driving.scale(site.engine, wanted, PROJECT, "web"))

        def by_compose() -> float:
            with site.stilled():
                return take(lambda: project.up("--scale", f"web={wanted}"))

        def by_api() -> float:
            body = copy_config(site)
            with site.stilled():
                return take(lambda: create_side_by_side(site, body, containers))

        def take(work: Any) -> float:
            seconds = clock(work)
            found = site.list_containers(PROJECT)
            assert len(found) == wanted, f"{len(found)} containers instead of {wanted}"
            remove_clones(site)
            return seconds

        link, driver, compose, raw = take_turns(rounds, (by_link, by_driver, by_compose, by_api))
    name = f"scale 1 to {wanted} until all run"
    api = f"engine API, {LANES_AT_ONCE} at once"
    yield compare(f"{name}, by link", link, raw, "s", api, at_most=GOAL)
    yield compare(f"{name}, driver alone", driver, raw, "s", api, at_most=GOAL)
    yield compare(f"{name}, by link", link, compose, "s", "docker-compose up --scale", at_most=1)


def copy_config(site: Site) -> dict[str, Any]:
    """Return the first container's configuration in the form that creates another one."""
    details = site.api.inspect_container(site.list_containers(PROJECT)[0])
    network = details["HostConfig"]["NetworkMode"]
    endpoints = {"EndpointsConfig": {network: {"Aliases": ["web"]}}}
    return {**details["Config"], "Hostname": "", "HostConfig": details["HostConfig"], "NetworkingConfig": endpoints}


def create_side_by_side(site: Site, body: dict[str, Any], containers: int) -> None:
    def work(lane: int) -> None:
        with site.engine.connect() as api:
            for number in range(2 + lane, 2 + containers, LANES_AT_ONCE):
                labels = {**body["Labels"], "com.docker.compose.container-number": str(number)}
                name = f"{PROJECT}_web_{number}"
                api.start(api.create_container_from_config({**body, "Labels": labels}, name)["Id"])

    with ThreadPoolExecutor(LANES_AT_ONCE) as threads:
        list(threads.map(work, range(LANES_AT_ONCE)))


def remove_clones(site: Site) -> None:
    label = "com.docker.compose.container-number"
    found = site.api.containers(all=True, filters={"label": f"com.docker.compose.project={PROJECT}"})
    clones = [container["Id"] for container in found if container["Labels"][label] != "1"]

    def remove(lane: int) -> None:
        with site.engine.connect() as api:
            for container in clones[lane::LANES_AT_ONCE]:
                api.remove_container(container, force=True, v=True)

    with ThreadPoolExecutor(LANES_AT_ONCE) as threads:
        list(threads.map(remove, range(LANES_AT_ONCE)))
    site.settle()

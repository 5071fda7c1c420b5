"""Redeploy and scale what docker-compose 1.29.2 created, and check that Compose still treats it as its own."""

import contextlib
import re
import threading
from pathlib import Path
from typing import Any

import docker
import pytest

from clusters.engine.errors import EngineError
from tests.harness.compose import ComposeProject
from tests.harness.driving import redeploy, scale
from tests.harness.engine import PrivateEngine
from tests.harness.images import make_image
from tests.harness.projects import MONITOR, list_names, list_running, read_ids

IMAGE = "windlass-test/compose:1"
WEB = {"com.docker.compose.service": "web"}


@pytest.fixture
def compose(engine: PrivateEngine, api: docker.APIClient, tmp_path: Path) -> ComposeProject:
    make_image(api, IMAGE, Labels={"build": "1"})
    services: dict[str, Any] = {
        "web": {"image": IMAGE, "labels": MONITOR, "environment": {"COLOR": "red"}},
        "worker": {"image": IMAGE, "labels": MONITOR},
    }
    project = ComposeProject(engine, tmp_path / "shop", "shop", services)
    project.up()
    return project


def test_compose_sees_the_clones_and_its_up_changes_nothing(
    engine: PrivateEngine, api: docker.APIClient, compose: ComposeProject
) -> None:
    assert scale(engine, 3).state == "succeeded"
    ids = read_ids(api)
    assert list_running(api) == {"shop_web_1", "shop_web_2", "shop_web_3", "shop_worker_1"}
    assert compose.list_ids() == sorted(ids.values())
    assert len(compose.list_ids("web")) == 3
    compose.up("--scale", "web=3")
    assert read_ids(api) == ids
    assert set(list_running(api)) == set(ids)


def test_compose_can_remove_the_clones_by_scaling_in(
    engine: PrivateEngine, api: docker.APIClient, compose: ComposeProject
) -> None:
    before = read_ids(api)
    assert scale(engine, 3).state == "succeeded"
    compose.up("--scale", "web=1")
    assert read_ids(api) == before


def test_compose_up_after_a_redeploy_changes_nothing(
    engine: PrivateEngine, api: docker.APIClient, compose: ComposeProject
) -> None:
    before = read_ids(api)
    assert redeploy(engine).state == "succeeded"
    ids = read_ids(api)
    assert set(ids) == set(before)
    assert not set(ids.values()) & set(before.values())
    compose.up()
    assert read_ids(api) == ids


def test_compose_finds_the_containers_after_a_redeploy_to_a_new_image(
    engine: PrivateEngine, api: docker.APIClient, compose: ComposeProject
) -> None:
    new_image = make_image(api, IMAGE, Labels={"build": "2"})
    assert redeploy(engine).state == "succeeded"
    assert compose.list_ids() == sorted(read_ids(api).values())
    assert {container["ImageID"] for container in api.containers()} == {new_image}


def test_one_off_containers_of_compose_are_left_alone(
    engine: PrivateEngine, api: docker.APIClient, compose: ComposeProject
) -> None:
    compose.run("run", "-d", "--name", "chore", "web", "sleep", "1000")
    chore = read_ids(api)["chore"]
    assert redeploy(engine).state == "succeeded"
    assert read_ids(api)["chore"] == chore


def half_way(api: docker.APIClient, name: str) -> None:
    """Rename the container as Compose does before it creates the new one."""
    api.rename(name, f"{read_ids(api)[name][:12]}_{name}")


def test_what_compose_left_half_way_is_completed(engine: PrivateEngine, api: docker.APIClient, compose: ComposeProject) -> None:
    half_way(api, "shop_web_1")
    api.create_container(IMAGE, name="shop_web_1", labels=api.inspect_container("shop_worker_1")["Config"]["Labels"] | WEB)
    half_way(api, "shop_worker_1")
    make_image(api, IMAGE, Labels={"build": "2"})
    assert redeploy(engine).state == "succeeded"
    ids = read_ids(api)
    assert list_running(api) == set(ids) == {"shop_web_1", "shop_worker_1"}
    assert compose.list_ids() == sorted(ids.values())


def test_compose_at_work_at_the_same_moment(engine: PrivateEngine, api: docker.APIClient, compose: ComposeProject) -> None:
    """An agent runs `up -d` without a pause while calls redeploy and scale."""
    stop = threading.Event()

    def run_agent() -> None:
        while not stop.is_set():
            with contextlib.suppress(AssertionError):  # Compose's own failure, since somebody else changed the project
                compose.up()

    agent = threading.Thread(target=run_agent)
    agent.start()
    try:
        for build in ("2", "3", "4"):
            make_image(api, IMAGE, Labels={"build": build})
            for call in (lambda: redeploy(engine), lambda: scale(engine, 2)):
                try:
                    drive = call()
                except EngineError:
                    continue
                assert drive.outcome
                assert not [name for name in list_names(api) if ".windlass-" in name], drive.events
                if drive.state == "rolled_back":
                    assert re.search(r"running again|now runs [12] container", drive.outcome.message), drive.outcome
    finally:
        stop.set()
        agent.join()
    compose.up()
    newest = make_image(api, IMAGE, Labels={"build": "5"})
    assert redeploy(engine).state == "succeeded"
    assert list_running(api) == list_names(api) == {"shop_web_1", "shop_worker_1"}
    assert {container["ImageID"] for container in api.containers()} == {newest}

"""Stop, start, restart and delete a Compose project on a real engine: what stays and what is removed."""

from collections.abc import Callable
from typing import Any

import docker
import pytest

from tests.harness.driving import act
from tests.harness.engine import PrivateEngine
from tests.harness.images import CRASH, SERVE
from tests.harness.projects import MONITOR, Project, create_container, list_names, list_running, read_ids, run_in
from tests.integration.test_recreate_volumes import list_volumes, read_volumes

ImageMaker = Callable[..., str]
ALL = {"shop-db-1", "shop-web-1", "shop-web-2"}


@pytest.fixture
def shop(api: docker.APIClient, project: Project, image: ImageMaker) -> Project:
    """Create db with a named and an anonymous volume, and two web containers that depend on it, on the project's network."""
    network = project.add_network("default", labels={"com.docker.compose.project": "shop"})
    app = image()
    database = {"HostConfig": {"NetworkMode": network, "Binds": ["shop_data:/srv"]}, "networks": {network: {"Aliases": ["db"]}}}
    project.add("db", image(Volumes={"/cache": {}}), **database)
    for number in (1, 2):
        labels = {"com.docker.compose.depends_on": "db:service_started:false"}
        project.add("web", app, number, networks={network: {"Aliases": ["web"]}}, labels=labels)
    return project


def list_networks(api: docker.APIClient) -> set[str]:
    return {network["Name"] for network in api.networks()} - {"bridge", "host", "none"}


def started(api: docker.APIClient) -> dict[str, str]:
    return {name: api.inspect_container(key)["State"]["StartedAt"] for name, key in read_ids(api).items()}


def test_a_project_is_stopped_started_restarted_and_deleted(
    engine: PrivateEngine, api: docker.APIClient, shop: Project
) -> None:
    stranger = create_container(api, "stranger", api.inspect_container("shop-web-1")["Config"]["Image"])
    run_in(api, "shop-db-1", "touch", "/srv/kept")
    ids, volumes = read_ids(api), list_volumes(api)
    anonymous = read_volumes(api, "shop-db-1")["/cache"]

    drive = act(engine, "stop")
    assert drive.state == "succeeded", drive
    assert (read_ids(api), list_running(api), list_volumes(api)) == (ids, {stranger}, volumes)
    stops = [text for _, word, text in drive.events if word == "stop"]
    assert stops[-1] == "stop shop-db-1"

    drive = act(engine, "start")
    assert drive.state == "succeeded", drive
    assert (read_ids(api), list_running(api)) == (ids, ALL | {stranger})

    moments = started(api)
    drive = act(engine, "restart")
    assert drive.state == "succeeded", drive
    assert read_ids(api) == ids
    assert {name for name, moment in started(api).items() if moment != moments[name]} == ALL

    drive = act(engine, "delete")
    assert drive.state == "succeeded", drive
    assert (list_names(api), list_networks(api)) == ({stranger}, set())
    assert list_volumes(api) == volumes - {anonymous} == {"shop_data"}
    assert api.inspect_image(api.inspect_container(stranger)["Image"])


def test_one_container_is_removed_and_its_project_is_left(engine: PrivateEngine, api: docker.APIClient, shop: Project) -> None:
    anonymous = read_volumes(api, "shop-db-1")["/cache"]
    drive = act(engine, "delete", container="shop-db-1")
    assert drive.outcome
    assert drive.outcome.message == "shop-db-1 was deleted. Named volumes and images are kept."
    assert list_names(api) == list_running(api) == {"shop-web-1", "shop-web-2"}
    assert anonymous not in list_volumes(api)
    assert list_networks(api) == {"shop_default"}


def test_an_anonymous_volume_that_is_attached_by_its_name_goes_too(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    """As a recreate leaves it."""
    app = image(Volumes={"/data": {}})
    first = project.add("web", app, name="first")
    volume = read_volumes(api, first)["/data"]
    api.remove_container(first, force=True)
    project.add("web", app, HostConfig={"Binds": [f"{volume}:/data"]})
    assert act(engine, "delete").state == "succeeded"
    assert list_volumes(api) == set()


def test_what_falls_over_at_its_start_fails_with_its_last_words(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    good, bad = image(), image(Cmd=["/bin/sh", "-c", "echo mounting; echo no disk >&2; exit 3"])
    project.add("db", good, start=False)
    project.add("web", bad, start=False)
    drive = act(engine, "start")
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("failed", "exited")
    assert drive.outcome.message == (
        "shop-web-1 did not keep running (exit code 3). Of 2 containers of shop, 1 is running and 1 is stopped."
    )
    assert "shop-web-1 printed: no disk" in drive.texts("warning")
    (evidence,) = drive.evidence
    assert sorted((line.stream, line.text) for line in evidence.lines) == [("stderr", "no disk"), ("stdout", "mounting")]
    assert (evidence.service, evidence.image, evidence.exit_code) == ("web", bad, 3)
    assert evidence.image_id.startswith("sha256:")


def test_what_would_not_start_is_named(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    project.add("web", image(Cmd=["/bin/not-there"]), start=False)
    drive = act(engine, "start")
    assert drive.outcome
    assert drive.state == "failed"
    assert drive.outcome.message.startswith("shop-web-1 did not start: ")
    assert drive.outcome.message.endswith("Now shop-web-1 is stopped.")


def test_what_does_its_work_and_ends_is_well(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    project.add("migrate", image(Cmd=["/bin/true"]), start=False)
    drive = act(engine, "start")
    assert drive.outcome
    assert (drive.state, drive.outcome.message) == (
        "succeeded",
        "1 container of shop was started. shop-migrate-1 completed its work and exited (exit code 0).",
    )


@pytest.mark.parametrize("broken", [{"state": "paused"}, {"state": "looping"}])
def test_a_paused_or_crashing_container_is_stopped_and_deleted(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker, broken: dict[str, Any]
) -> None:
    is_paused = broken["state"] == "paused"
    policy = {"HostConfig": {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}}}
    name = project.add("web", image(Cmd=SERVE if is_paused else CRASH), **policy)
    if is_paused:
        api.pause(name)
    assert act(engine, "stop").state == "succeeded"
    assert list_running(api) == set()
    if is_paused:
        api.start(name)
        api.pause(name)
    assert act(engine, "delete").state == "succeeded"
    assert list_names(api) == set()


def test_what_runs_in_a_restarted_containers_network_is_restarted_with_it(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    web = project.add("web", app)
    key = read_ids(api)[web]
    create_container(api, "watcher", app, labels=MONITOR, HostConfig={"NetworkMode": f"container:{key}"})
    moments = started(api)
    drive = act(engine, "restart", container=web)
    assert drive.state == "succeeded", drive
    assert not moments.items() & started(api).items()
    assert api.inspect_container("watcher")["HostConfig"]["NetworkMode"] == f"container:{key}"

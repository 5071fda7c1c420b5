"""A redeploy keeps the data: anonymous and named volumes, binds and mounts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker

from tests.harness.driving import redeploy
from tests.harness.engine import PrivateEngine
from tests.harness.images import CRASH
from tests.harness.projects import Project, run_in

ImageMaker = Callable[..., str]


def read_volumes(api: docker.APIClient, container: str) -> dict[str, str]:
    """Return volume names by destination."""
    return {
        mount["Destination"]: mount["Name"] for mount in api.inspect_container(container)["Mounts"] if mount["Type"] == "volume"
    }


def list_volumes(api: docker.APIClient) -> set[str]:
    return {volume["Name"] for volume in api.volumes()["Volumes"] or []}


def test_anonymous_volumes_are_attached_again_with_their_data(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Volumes={"/data": {}})
    web = project.add("web", app, Volumes={"/srv": {}})
    run_in(api, web, "touch", "/data/kept", "/srv/kept")
    before = read_volumes(api, web)
    assert set(before) == {"/data", "/srv"}
    image(app, Volumes={"/data": {}})
    assert redeploy(engine).state == "succeeded"
    assert read_volumes(api, web) == before
    assert run_in(api, web, "ls", "/data/kept", "/srv/kept")[0] == 0
    assert list_volumes(api) == set(before.values())


def test_volume_that_the_new_image_adds_is_created(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Volumes={"/data": {}})
    web = project.add("web", app)
    before = read_volumes(api, web)
    image(app, Volumes={"/data": {}, "/cache": {}})
    assert redeploy(engine).state == "succeeded"
    after = read_volumes(api, web)
    assert set(after) == {"/data", "/cache"}
    assert after["/data"] == before["/data"]
    assert list_volumes(api) == set(after.values())


def test_shared_and_external_volumes_are_kept_and_never_removed(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    api.create_volume("external")
    web = project.add("web", app, HostConfig={"Binds": ["external:/data", "shop_cache:/srv:ro"]})
    other = project.add("other", app, HostConfig={"VolumesFrom": [web]})
    run_in(api, web, "touch", "/data/kept")
    before = read_volumes(api, web)
    other_id = api.inspect_container(other)["Id"]
    image(app)
    assert redeploy(engine, service="web").state == "succeeded"
    assert read_volumes(api, web) == before == {"/data": "external", "/srv": "shop_cache"}
    assert run_in(api, web, "ls", "/data/kept")[0] == 0
    assert api.inspect_container(other)["Id"] == other_id
    assert list_volumes(api) == {"external", "shop_cache"}


def test_binds_and_mounts_survive_in_both_forms(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker, tmp_path: Path
) -> None:
    (tmp_path / "settings").write_text("x")
    mounts = [
        {"Type": "volume", "Source": "named", "Target": "/data", "VolumeOptions": {"NoCopy": True, "Labels": {"of": "shop"}}},
        {"Type": "bind", "Source": str(tmp_path), "Target": "/srv", "ReadOnly": True, "BindOptions": {"NonRecursive": True}},
        {"Type": "tmpfs", "Target": "/run", "TmpfsOptions": {"SizeBytes": 1048576, "Mode": 0o700}},
        {"Type": "volume", "Target": "/anonymous"},
    ]
    host_config: dict[str, Any] = {"Binds": [f"{tmp_path}/settings:/etc/settings:ro", "cache:/cache:nocopy"], "Mounts": mounts}
    app = image()
    web = project.add("web", app, HostConfig=host_config)
    before = api.inspect_container(web)
    image(app)
    assert redeploy(engine).state == "succeeded"
    after = api.inspect_container(web)

    def by_destination(inspected: dict[str, Any]) -> list[dict[str, Any]]:
        return sorted(inspected["Mounts"], key=lambda mount: mount["Destination"])

    assert by_destination(after) == by_destination(before)
    assert after["HostConfig"]["Binds"] == host_config["Binds"]
    assert run_in(api, web, "cat", "/etc/settings")[1] == "x"


def test_rollback_keeps_the_volumes_and_leaves_no_new_ones(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Volumes={"/data": {}})
    web = project.add("web", app)
    run_in(api, web, "touch", "/data/kept")
    before = read_volumes(api, web)
    image(app, Volumes={"/data": {}, "/cache": {}}, Cmd=CRASH)
    assert redeploy(engine).state == "rolled_back"
    assert read_volumes(api, web) == before
    assert run_in(api, web, "ls", "/data/kept")[0] == 0
    assert list_volumes(api) == set(before.values())

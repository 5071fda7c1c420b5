"""What a container refers to and somebody else has replaced or removed: other containers, networks, the host's files."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from clusters.engine.connection.client import EngineClient
from clusters.engine.driver import Target
from clusters.engine.drivers import driver_for
from clusters.engine.errors import PlanRefused
from tests.harness.driving import act, redeploy, scale
from tests.harness.engine import PrivateEngine
from tests.harness.images import CRASH
from tests.harness.projects import DEFAULT_BRIDGE, Project, create_container, list_names, list_running, read_ids, run_in

ImageMaker = Callable[..., str]
JOINED = {"com.docker.compose.depends_on": "vpn:service_started:true"}


@pytest.mark.parametrize("mode", ["NetworkMode", "IpcMode"])
def test_a_container_whose_joined_one_was_replaced_by_others_is_refused_before_its_stop(
    engine: PrivateEngine, api: docker.APIClient, image: ImageMaker, mode: str
) -> None:
    app = image()
    sharing = {"IpcMode": "shareable"} if mode == "IpcMode" else {}
    create_container(api, "vpn", app, HostConfig=sharing)
    gone = api.inspect_container("vpn")["Id"]
    create_container(api, "app", app, HostConfig={mode: f"container:{gone}", "Binds": ["data:/data"]})
    api.remove_container("vpn", force=True)
    create_container(api, "vpn", app, HostConfig=sharing)
    image(app)
    before = api.inspect_container("app")
    with pytest.raises(PlanRefused, match=rf"app uses the .* of the container {gone[:12]}, which no longer exists") as refusal:
        redeploy(engine, "app", source="container")
    assert refusal.value.code == "missing_container"
    with pytest.raises(PlanRefused, match="which no longer exists"):
        act(engine, "restart", "app", source="container")
    assert api.inspect_container("app") == before


def test_compose_says_which_container_is_joined_instead(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    vpn = project.add("vpn", app)
    project.add("web", app, labels=JOINED, HostConfig={"NetworkMode": f"container:{api.inspect_container(vpn)['Id']}"})
    api.remove_container(vpn, force=True)
    project.add("vpn", app)
    now = api.inspect_container(vpn)["Id"]
    old = api.inspect_container("shop-web-1")["Id"]
    for refused in (lambda: redeploy(engine, service="vpn"), lambda: act(engine, "restart")):
        with pytest.raises(
            PlanRefused, match=r"which no longer exists: it could not be started again\. Redeploy shop-web-1 first"
        ):
            refused()
    image(app, Cmd=CRASH)
    assert redeploy(engine, service="web").state == "rolled_back"
    assert (api.inspect_container("shop-web-1")["Id"], list_running(api)) == (old, {vpn, "shop-web-1"})
    image(app)
    assert redeploy(engine, service="web").state == "succeeded"
    assert api.inspect_container("shop-web-1")["HostConfig"]["NetworkMode"] == f"container:{now}"
    image(app)
    assert redeploy(engine).state == "succeeded"  # both at once
    new = api.inspect_container(vpn)["Id"]
    assert api.inspect_container("shop-web-1")["HostConfig"]["NetworkMode"] == f"container:{new}"


def test_a_joined_or_linked_container_that_does_not_run_is_found_before_the_stop(
    engine: PrivateEngine, api: docker.APIClient, image: ImageMaker
) -> None:
    app = image()
    create_container(api, "db", app, HostConfig=DEFAULT_BRIDGE)
    create_container(api, "linked", app, HostConfig={"Links": ["db:database"], "Binds": ["data:/data"]})
    create_container(api, "joined", app, HostConfig={"NetworkMode": "container:db"})
    api.stop("db", timeout=1)
    image(app)
    for name, word in (("linked", "is linked to"), ("joined", "uses the network of")):
        with pytest.raises(PlanRefused, match=f"{name} {word} db, which does not run: .* Start db first"):
            redeploy(engine, name, source="container")
    assert list_running(api) == {"linked", "joined"}


def test_a_link_to_a_container_that_others_replaced_is_to_the_one_that_has_its_name(
    engine: PrivateEngine, api: docker.APIClient, image: ImageMaker
) -> None:
    app = image()
    create_container(api, "db", app, HostConfig=DEFAULT_BRIDGE)
    create_container(api, "app", app, HostConfig={"Links": ["db:database"]})
    create_container(api, "writer", app, HostConfig={"Links": ["db:database"], "Binds": ["data:/data"]})
    api.remove_container("db", force=True)
    for name in ("app", "writer"):
        with pytest.raises(PlanRefused, match=f"{name} is linked to the container db, which no longer exists"):
            redeploy(engine, name, source="container")
    create_container(api, "db", app, HostConfig=DEFAULT_BRIDGE)
    with EngineClient(engine.endpoint) as client:
        seen = driver_for("container").observe(client, Target("app", "container", state_only=True))
        with pytest.raises(PlanRefused, match="app is linked to the container db, which no longer exists: .* Redeploy app"):
            driver_for("container").plan_act(seen, "restart")
    with pytest.raises(PlanRefused, match=r"It writes to /data, so it must be stopped first"):
        redeploy(engine, "writer", source="container")
    old = api.inspect_container("app")["Id"]
    image(app, Cmd=CRASH)
    assert redeploy(engine, "app", source="container").state == "rolled_back"
    assert api.inspect_container("app")["Id"] == old
    image(app)
    assert redeploy(engine, "app", source="container").state == "succeeded"
    address = api.inspect_container("db")["NetworkSettings"]["IPAddress"]
    assert f"{address}\tdatabase" in run_in(api, "app", "cat", "/etc/hosts")[1]
    assert list_running(api) == {"app", "db", "writer"}


def test_volumes_of_another_container_stay_whatever_becomes_of_it(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Volumes={"/data": {}})
    store = project.add("store", app)
    plain = image()
    sources = (store, api.inspect_container(store)["Id"])
    borrowers = [project.add("web", plain, number, HostConfig={"VolumesFrom": [sources[number - 1]]}) for number in (1, 2)]
    volumes = {mount["Name"] for mount in api.inspect_container(store)["Mounts"]}
    run_in(api, borrowers[0], "touch", "/data/mine")

    def check() -> None:
        for web in borrowers:
            assert {mount["Name"] for mount in api.inspect_container(web)["Mounts"]} == volumes
            assert run_in(api, web, "ls", "/data/mine")[0] == 0

    assert redeploy(engine).state == "succeeded"  # both are replaced
    check()
    assert redeploy(engine, service="store").state == "succeeded"
    assert redeploy(engine, service="web").state == "succeeded"
    check()
    api.remove_container(store, force=True)
    assert redeploy(engine, service="web").state == "succeeded"
    check()


def test_a_bind_whose_source_no_longer_exists_is_found_before_the_stop(
    engine: PrivateEngine, api: docker.APIClient, image: ImageMaker, tmp_path: Path
) -> None:
    app = image()
    settings = tmp_path / "app.conf"
    settings.write_text("x")
    device = tmp_path / "null"
    os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    devices = [{"PathOnHost": str(device), "PathInContainer": "/dev/other", "CgroupPermissions": "rwm"}]
    binds = [f"{settings}:/etc/app.conf", f"{tmp_path}:/folder:ro"]
    create_container(api, "app", app, HostConfig={"Binds": binds, "Devices": devices})
    device.rename(tmp_path / "away")
    with pytest.raises(PlanRefused, match=f"app uses {device} of the host, which no longer exists"):
        redeploy(engine, "app", source="container")
    (tmp_path / "away").rename(device)
    settings.unlink()
    image(app)
    before = read_ids(api), list_running(api)
    with pytest.raises(PlanRefused, match=f"app uses {settings} of the host, which no longer exists") as refusal:
        redeploy(engine, "app", source="container")
    assert refusal.value.code == "bind_source"
    drive = act(engine, "restart", "app", source="container")
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("failed", "bind_source")
    assert drive.outcome.message.endswith(f"Restore {settings} first. Now app is running.")
    assert (read_ids(api), list_running(api)) == before
    settings.write_text("y")
    assert redeploy(engine, "app", source="container").state == "succeeded"
    assert run_in(api, "app", "cat", "/etc/app.conf")[1].strip() == "y"
    assert list_names(api) == {"app"}


def test_of_two_networks_of_one_name_the_own_one_is_kept(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    subnet = engine.new_subnet()
    pools = docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet=subnet)])
    front, back = project.add_network(ipam=pools), project.add_network("back")
    networks: dict[str, dict[str, Any]] = {front: {"Aliases": ["web"]}, back: {"Aliases": ["web"]}}
    project.add("web", app, networks=networks)
    address = subnet.replace(".0/24", ".77")
    static = {front: {"IPAMConfig": {"IPv4Address": address}}, back: {}}
    project.add("db", app, networks=static, HostConfig={"Binds": ["shop_data:/data"]})

    def read_networks(name: str) -> dict[str, str]:
        found = api.inspect_container(name)["NetworkSettings"]["Networks"]
        return {network: endpoint["NetworkID"] for network, endpoint in found.items()}

    own = read_networks("shop-web-1")
    for name in (front, back):
        api.create_network(name, driver="bridge", check_duplicate=False)
    image(app)
    drive = redeploy(engine)
    assert drive.state == "succeeded", drive.outcome
    assert scale(engine, 2).state == "succeeded"
    assert [read_networks(name) for name in ("shop-web-1", "shop-web-2", "shop-db-1")] == [own] * 3
    assert api.inspect_container("shop-db-1")["NetworkSettings"]["Networks"][front]["IPAddress"] == address

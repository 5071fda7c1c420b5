"""Scale a service on a plain engine."""

from collections.abc import Callable
from typing import Any

import docker
import pytest

from clusters.engine.errors import PlanRefused
from tests.harness.driving import redeploy, scale
from tests.harness.engine import PrivateEngine
from tests.harness.eventually import eventually
from tests.harness.images import HEALTHY, SERVE, UNHEALTHY
from tests.harness.projects import Project, create_container, list_names, list_running, read_ids, run_in

ImageMaker = Callable[..., str]


def numbers(api: docker.APIClient, service: str = "web") -> dict[str, str]:
    """Return the container numbers of the service's containers by name."""
    containers = api.containers(all=True, filters={"label": f"com.docker.compose.service={service}"})
    return {c["Names"][0].removeprefix("/"): c["Labels"]["com.docker.compose.container-number"] for c in containers}


def test_scale_out_clones_the_service_under_the_next_numbers(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Env=["VERSION=1"])
    front = project.add_network()
    web = project.add("web", app, networks={front: {"Aliases": ["web"]}}, Env=["TOKEN=mine"])
    before = read_ids(api)
    assert scale(engine, 6).state == "succeeded"
    assert numbers(api) == {f"shop-web-{number}": str(number) for number in range(1, 7)}
    assert list_running(api) == set(numbers(api))
    assert read_ids(api)[web] == before[web]
    original, clone = api.inspect_container(web), api.inspect_container("shop-web-4")
    assert clone["Image"] == original["Image"]
    assert sorted(clone["Config"]["Env"]) == sorted(original["Config"]["Env"])
    assert clone["HostConfig"] == original["HostConfig"]
    aliases = clone["NetworkSettings"]["Networks"][front]["Aliases"]
    assert "web" in aliases
    assert original["Id"][:12] not in aliases
    assert clone["Config"]["Hostname"] == clone["Id"][:12]


def test_all_replicas_resolve_under_the_service_name(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    front = project.add_network()
    project.add("web", app, networks={front: {"Aliases": ["web"]}})
    client = create_container(api, "client", app, networks={front: {}})
    assert scale(engine, 3).state == "succeeded"
    answer = run_in(api, client, "nslookup", "web")[1]
    for name in numbers(api):
        assert api.inspect_container(name)["NetworkSettings"]["Networks"][front]["IPAddress"] in answer


def test_clone_gets_anonymous_volumes_of_its_own_and_shares_the_named_ones(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Volumes={"/data": {}})
    project.add("web", app, HostConfig={"Binds": ["shop_shared:/srv"]})
    assert scale(engine, 2).state == "succeeded"
    mounts = [
        {mount["Destination"]: mount["Name"] for mount in api.inspect_container(name)["Mounts"]}
        for name in ("shop-web-1", "shop-web-2")
    ]
    assert mounts[0]["/data"] != mounts[1]["/data"]
    assert mounts[0]["/srv"] == mounts[1]["/srv"] == "shop_shared"


def test_scale_out_runs_the_image_that_the_service_runs(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    project.add("web", app)
    running = api.inspect_image(app)["Id"]
    image(app)  # only a redeploy may run the newer build under the tag
    assert scale(engine, 2).state == "succeeded"
    assert {container["ImageID"] for container in api.containers()} == {running}


def test_scale_in_takes_the_newest_first(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    for number in (1, 2, 3, 4):
        project.add("web", app, number)
    before = read_ids(api)
    assert scale(engine, 2).state == "succeeded"
    assert read_ids(api) == {name: before[name] for name in ("shop-web-1", "shop-web-2")}
    assert list_running(api) == {"shop-web-1", "shop-web-2"}


def test_scale_in_never_takes_the_last_one(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    web = project.add("web", app)
    before = read_ids(api)
    with pytest.raises((PlanRefused, ValueError)):
        scale(engine, 0)
    assert read_ids(api) == before
    assert list_running(api) == {web}


def test_scaling_to_the_current_count_changes_nothing(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    for number in (1, 2):
        project.add("web", app, number)
    before = read_ids(api)
    assert scale(engine, 2).state == "succeeded"
    assert read_ids(api) == before


def test_scale_in_takes_the_anonymous_volumes_of_the_removed_and_no_others(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Volumes={"/data": {}})
    for number in (1, 2):
        project.add("web", app, number, HostConfig={"Binds": ["shop_shared:/srv"]})
    first = {mount["Name"] for mount in api.inspect_container("shop-web-1")["Mounts"]}
    assert scale(engine, 1).state == "succeeded"
    assert first <= {volume["Name"] for volume in api.volumes()["Volumes"]}


def test_new_numbers_are_free_ones_and_never_collide(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    project.add("web", app, 1)
    project.add("web", app, 3)
    stranger = create_container(api, "shop-web-2", app, labels={})
    stranger_id = read_ids(api)[stranger]
    assert scale(engine, 4).state == "succeeded"
    assert len(set(numbers(api).values())) == len(numbers(api)) == 4
    assert read_ids(api)[stranger] == stranger_id
    assert set(numbers(api)) >= {"shop-web-1", "shop-web-3"}
    assert stranger not in numbers(api)


def test_version_1_names_keep_their_underscores(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    project.add("web", image(), name="shop_web_1", labels={"com.docker.compose.version": "1.29.2"})
    assert scale(engine, 2).state == "succeeded"
    assert list_names(api) == {"shop_web_1", "shop_web_2"}


@pytest.mark.parametrize(
    ("reason", "config", "name"),
    [
        ("fixed_port", {"HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18473"}]}}}, ""),
        ("container_name", {}, "front-door"),
        ("host_network", {"HostConfig": {"NetworkMode": "host"}}, ""),
    ],
)
def test_service_that_cannot_be_scaled_is_refused_before_anything_is_created(
    engine: PrivateEngine,
    api: docker.APIClient,
    project: Project,
    image: ImageMaker,
    reason: str,
    config: dict[str, Any],
    name: str,
) -> None:
    project.add("web", image(), name=name, **config)
    before = read_ids(api)
    with pytest.raises(PlanRefused) as refusal:
        scale(engine, 2)
    assert refusal.value.code == reason
    assert read_ids(api) == before


def test_service_with_a_static_address_is_refused(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    subnet = engine.new_subnet()
    static = project.add_network("static", ipam=docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet=subnet)]))
    project.add("web", image(), networks={static: {"IPAMConfig": {"IPv4Address": subnet.replace(".0/24", ".77")}}})
    before = read_ids(api)
    with pytest.raises(PlanRefused) as refusal:
        scale(engine, 2)
    assert refusal.value.code == "static_address"
    assert read_ids(api) == before


def test_ephemeral_host_port_can_be_scaled(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    ports = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    project.add("web", image(), HostConfig={"PortBindings": ports}, ExposedPorts={"80/tcp": {}})
    assert scale(engine, 3).state == "succeeded"
    assert len(list_running(api)) == 3


def test_unhealthy_clones_are_removed_again(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    # The first container is healthy because it holds the only lock, which its clones cannot get.
    serve = ["/bin/sh", "-c", "trap 'exit 0' TERM; if mkdir /srv/lock; then sleep 100000 & wait; else exit 1; fi"]
    web = project.add("web", image(Cmd=serve), HostConfig={"Binds": ["shop_lock:/srv"]})
    eventually(lambda: api.inspect_container(web)["State"]["Running"])
    before = read_ids(api)
    drive = scale(engine, 3)
    assert drive.state == "rolled_back"
    assert read_ids(api) == before
    assert list_running(api) == {web}


def test_clone_is_made_from_a_healthy_container(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    project.add("web", app, 1, Healthcheck=HEALTHY, Env=["FROM=healthy"])
    project.add("web", app, 2, Healthcheck=UNHEALTHY, Env=["FROM=unhealthy"])
    eventually(lambda: api.inspect_container("shop-web-2")["State"]["Health"]["Status"] == "unhealthy")
    eventually(lambda: api.inspect_container("shop-web-1")["State"]["Health"]["Status"] == "healthy")
    assert scale(engine, 3).state == "succeeded"
    assert "FROM=healthy" in api.inspect_container("shop-web-3")["Config"]["Env"]


def test_redeploy_keeps_the_count_of_a_scaled_service(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Cmd=SERVE)
    project.add("web", app)
    assert scale(engine, 3).state == "succeeded"
    new_image = api.inspect_image(image(app, Cmd=SERVE))["Id"]
    assert redeploy(engine).state == "succeeded"
    assert list_running(api) == {f"shop-web-{number}" for number in (1, 2, 3)}
    assert {container["ImageID"] for container in api.containers()} == {new_image}

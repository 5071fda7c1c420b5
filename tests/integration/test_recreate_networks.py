"""A redeploy keeps the container's names and addresses in its networks, and nothing that was only the old container's."""

from collections.abc import Callable
from typing import Any

import docker
import pytest

from tests.harness.driving import redeploy
from tests.harness.engine import PrivateEngine
from tests.harness.images import CRASH
from tests.harness.projects import DEFAULT_BRIDGE, Project, create_container, list_names, run_in

ImageMaker = Callable[..., str]
MAC = "02:42:0a:00:00:99"


def read_networks(api: docker.APIClient, container: str) -> dict[str, Any]:
    return dict(api.inspect_container(container)["NetworkSettings"]["Networks"])


def own_aliases(api: docker.APIClient, container: str, network: str) -> set[str]:
    """Return the endpoint's aliases without the short id, which the engine adds by itself."""
    inspected = api.inspect_container(container)
    return set(inspected["NetworkSettings"]["Networks"][network]["Aliases"] or []) - {inspected["Id"][:12]}


def add_subnet(engine: PrivateEngine, project: Project, name: str) -> tuple[str, str]:
    """Create a network with a subnet, and return an address in it for a test to assign."""
    subnet = engine.new_subnet()
    pool = docker.types.IPAMPool(subnet=subnet)
    return project.add_network(name, ipam=docker.types.IPAMConfig(pool_configs=[pool])), subnet.replace(".0/24", ".77")


def test_service_name_and_custom_aliases_resolve_after_redeploy(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    front = project.add_network()
    web = project.add("web", app, networks={front: {"Aliases": ["web", "shopfront"]}})
    client = create_container(api, "client", app, networks={front: {}})
    image(app)
    assert redeploy(engine).state == "succeeded"
    address = read_networks(api, web)[front]["IPAddress"]
    for name in ("web", "shopfront", web):
        assert address in run_in(api, client, "nslookup", name)[1]


def test_aliases_do_not_gather_the_short_ids_of_earlier_containers(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    front = project.add_network()
    web = project.add("web", app, networks={front: {"Aliases": ["web"]}})
    for _ in range(2):
        image(app)
        assert redeploy(engine).state == "succeeded"
    assert own_aliases(api, web, front) == {"web"}


def test_container_on_the_default_bridge_is_redeployed(engine: PrivateEngine, api: docker.APIClient, image: ImageMaker) -> None:
    app = image()
    lone = create_container(api, "lone", app, HostConfig=DEFAULT_BRIDGE)
    before = api.inspect_container(lone)["Id"]
    image(app)
    assert redeploy(engine, "lone", source="container").state == "succeeded"
    assert api.inspect_container(lone)["Id"] != before
    assert list(read_networks(api, lone)) == ["bridge"]


@pytest.mark.parametrize("mode", ["host", "none"])
def test_container_without_a_network_of_its_own_is_redeployed(
    engine: PrivateEngine, api: docker.APIClient, image: ImageMaker, mode: str
) -> None:
    app = image()
    lone = create_container(api, "lone", app, HostConfig={"NetworkMode": mode})
    before = api.inspect_container(lone)
    image(app)
    assert redeploy(engine, "lone", source="container").state == "succeeded"
    after = api.inspect_container(lone)
    assert after["Id"] != before["Id"]
    assert after["HostConfig"]["NetworkMode"] == mode
    assert after["Config"]["Hostname"] == (before["Config"]["Hostname"] if mode == "host" else after["Id"][:12])


def test_all_networks_and_their_settings_survive(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    front, back = project.add_network("front"), project.add_network("back", internal=True)
    static, address = add_subnet(engine, project, "static")
    web = project.add(
        "web",
        app,
        networks={
            front: {"Aliases": ["web", "www"]},
            back: {"Aliases": ["web"], "DriverOpts": {"com.example.option": "1"}},
            static: {"IPAMConfig": {"IPv4Address": address}},
        },
    )
    image(app)
    assert redeploy(engine).state == "succeeded"
    networks = read_networks(api, web)
    assert set(networks) == {front, back, static}
    assert api.inspect_container(web)["HostConfig"]["NetworkMode"] == front
    assert own_aliases(api, web, front) == {"web", "www"}
    assert own_aliases(api, web, back) == {"web"}
    assert networks[back]["DriverOpts"] == {"com.example.option": "1"}
    assert networks[static]["IPAddress"] == address
    assert all(network["IPAddress"] for network in networks.values())


def test_static_address_is_kept_and_an_assigned_one_is_not_made_static(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    static, address = add_subnet(engine, project, "static")
    loose = project.add_network("loose")
    web = project.add("web", app, networks={static: {"IPAMConfig": {"IPv4Address": address}}, loose: {}})
    image(app)
    assert redeploy(engine).state == "succeeded"
    networks = read_networks(api, web)
    assert networks[static]["IPAMConfig"] == {"IPv4Address": address}
    assert networks[static]["IPAddress"] == address
    assert not networks[loose]["IPAMConfig"]


def test_static_ipv6_address_is_kept(engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker) -> None:
    app = image()
    pools = [docker.types.IPAMPool(subnet=engine.new_subnet()), docker.types.IPAMPool(subnet="fd00:77::/64")]
    static = project.add_network("six", enable_ipv6=True, ipam=docker.types.IPAMConfig(pool_configs=pools))
    web = project.add("web", app, networks={static: {"IPAMConfig": {"IPv6Address": "fd00:77::77"}}})
    image(app)
    assert redeploy(engine).state == "succeeded"
    assert read_networks(api, web)[static]["GlobalIPv6Address"] == "fd00:77::77"


def test_configured_mac_address_is_kept_and_a_generated_one_is_not(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    front = project.add_network()
    fixed = project.add("fixed", app, MacAddress=MAC, networks={front: {}})
    loose = project.add("loose", app, networks={front: {}})
    image(app)
    assert redeploy(engine).state == "succeeded"
    assert read_networks(api, fixed)[front]["MacAddress"] == MAC
    assert api.inspect_container(fixed)["Config"]["MacAddress"] == MAC
    assert not api.inspect_container(loose)["Config"].get("MacAddress")


def test_links_are_recreated(engine: PrivateEngine, api: docker.APIClient, image: ImageMaker) -> None:
    app = image()
    create_container(api, "store", app, HostConfig=DEFAULT_BRIDGE)
    lone = create_container(api, "lone", app, HostConfig={"Links": ["store:db"]})
    before = sorted(api.inspect_container(lone)["HostConfig"]["Links"])
    image(app)
    assert redeploy(engine, "lone", source="container").state == "succeeded"
    assert sorted(api.inspect_container(lone)["HostConfig"]["Links"]) == before
    assert "db" in run_in(api, lone, "cat", "/etc/hosts")[1]
    assert list_names(api) == {"store", "lone"}


def test_links_of_a_network_are_recreated(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    front = project.add_network()
    store = project.add("store", app, networks={front: {}})
    web = project.add("web", app, networks={front: {"Links": [f"{store}:db"]}})
    image(app)
    assert redeploy(engine, service="web").state == "succeeded"
    assert read_networks(api, web)[front]["Links"] == [f"{store}:db"]
    assert run_in(api, web, "nslookup", "db")[0] == 0


def test_containers_in_the_network_of_another_follow_it(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    front = project.add_network()
    gateway = project.add("gateway", app, networks={front: {}})
    gateway_id = api.inspect_container(gateway)["Id"]
    sidecar = project.add("sidecar", app, HostConfig={"NetworkMode": f"container:{gateway_id}"})
    image(app)
    assert redeploy(engine, service="gateway").state == "succeeded"
    new_id = api.inspect_container(gateway)["Id"]
    after = api.inspect_container(sidecar)
    assert new_id != gateway_id
    assert after["HostConfig"]["NetworkMode"] == f"container:{new_id}"
    assert after["State"]["Running"]
    assert list_names(api) == {gateway, sidecar}


def test_whole_project_with_a_shared_network_container_is_redeployed(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    front = project.add_network()
    gateway = project.add("gateway", app, networks={front: {}}, ExposedPorts={"80/tcp": {}})
    gateway_id = api.inspect_container(gateway)["Id"]
    # Its name sorts first, so the order must come from the dependency.
    agent = project.add("agent", app, HostConfig={"NetworkMode": f"container:{gateway_id}"})
    new_image = api.inspect_image(image(app, ExposedPorts={"81/tcp": {}}))["Id"]
    assert redeploy(engine).state == "succeeded"
    after = api.inspect_container(agent)
    assert after["HostConfig"]["NetworkMode"] == f"container:{api.inspect_container(gateway)['Id']}"
    assert {c["ImageID"] for c in api.containers()} == {new_image}
    assert list_names(api) == {gateway, agent}


def test_rollback_restores_the_shared_network_too(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    good, app = image(), image()
    gateway = project.add("gateway", app, networks={project.add_network(): {}})
    sidecar = project.add("sidecar", good, HostConfig={"NetworkMode": f"container:{api.inspect_container(gateway)['Id']}"})
    image(app, Cmd=CRASH)
    assert redeploy(engine, service="gateway").state == "rolled_back"
    after = api.inspect_container(sidecar)
    assert after["HostConfig"]["NetworkMode"] == f"container:{api.inspect_container(gateway)['Id']}"
    assert after["State"]["Running"]
    assert list_names(api) == {gateway, sidecar}


def test_rollback_restores_addresses_aliases_and_networks(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    front = project.add_network("front")
    static, address = add_subnet(engine, project, "static")
    web = project.add(
        "web",
        app,
        MacAddress=MAC,
        networks={front: {"Aliases": ["web", "www"]}, static: {"IPAMConfig": {"IPv4Address": address}}},
        HostConfig={"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}},
    )
    before = api.inspect_container(web)
    image(app, Cmd=CRASH)
    assert redeploy(engine).state == "rolled_back"
    after = api.inspect_container(web)
    assert after["Image"] == before["Image"]
    assert after["State"]["Running"]
    assert after["HostConfig"] == before["HostConfig"]
    assert own_aliases(api, web, front) == {"web", "www"}
    networks = after["NetworkSettings"]["Networks"]
    assert set(networks) == {front, static}
    assert networks[static]["IPAddress"] == address
    assert networks[front]["MacAddress"] == MAC
    assert list_names(api) == {web}

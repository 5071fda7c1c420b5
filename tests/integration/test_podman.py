"""The drivers on a real Podman. What its answers mean is in clusters/engine/connection/podman.py."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest

from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.event_stream import EventStream
from clusters.engine.errors import PlanRefused
from clusters.engine.fakes.fake_engine import SERVES
from clusters.engine.inspection.listing import observe_engine
from clusters.watch import EVENT_FILTERS
from tests.harness.driving import act, redeploy, scale
from tests.harness.eventually import eventually
from tests.harness.images import CRASH, HEALTHY
from tests.harness.podman import PrivatePodman, make_podman_image
from tests.harness.projects import MONITOR, Project, create_container, run_in
from tests.harness.registry import PrivateRegistry, run_registry

Json = dict[str, Any]
IMAGE = "localhost/windlass-test/app:1"
ALWAYS = {"Name": "always", "MaximumRetryCount": 0}


@pytest.fixture
def api(podman: PrivatePodman) -> Iterator[docker.APIClient]:
    with podman.connect() as client:
        yield client


@pytest.fixture
def image(api: docker.APIClient) -> Callable[..., str]:
    """`image(build="2", Cmd=[…])` builds IMAGE anew and returns its id."""

    def make(build: str = "1", **config: Any) -> str:
        return make_podman_image(api, IMAGE, Labels={"build": build}, **config)

    return make


@pytest.fixture
def registry(podman: PrivatePodman, tmp_path: Any) -> Iterator[PrivateRegistry]:
    with run_registry(tmp_path, address=podman.host_address, port=podman.registry_port) as private_registry:
        yield private_registry


def read_settings(api: docker.APIClient, container: str) -> Json:
    """Return what a redeploy must not change."""
    details = api.inspect_container(container)
    config, host_config = dict(details["Config"]), details["HostConfig"]
    config["Env"] = sorted(entry for entry in config["Env"] if not entry.startswith("HOSTNAME="))
    config.pop("Hostname")
    config["Labels"] = {key: value for key, value in config["Labels"].items() if key != "build"}
    return {"Config": config, "HostConfig": host_config, "Networks": set(details["NetworkSettings"]["Networks"])}


def running(api: docker.APIClient) -> set[str]:
    return {name.lstrip("/") for entry in api.containers() for name in entry["Names"]}


def test_a_published_image_is_pulled_and_every_setting_is_kept(
    podman: PrivatePodman, api: docker.APIClient, image: Callable[..., str], registry: PrivateRegistry
) -> None:
    image("1", Volumes={"/data": {}})
    reference = registry.push(api, "shop", IMAGE, "1")
    api.pull(*reference.rsplit(":", 1))
    limits = [{"Name": "nofile", "Soft": 512, "Hard": 1024}, {"Name": "nproc", "Soft": 2048, "Hard": 2048}]
    host_config = {
        "RestartPolicy": ALWAYS,
        "Ulimits": limits,
        "Memory": 64 << 20,
        "Tmpfs": {"/scratch": "size=1m"},
        "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8471"}]},
        "Binds": ["stuff:/stuff"],
    }
    exposed = {"80/tcp": {}}
    create_container(api, "lone", reference, Env=["MINE=1"], HostConfig=host_config, ExposedPorts=exposed, StopTimeout=2)
    api.exec_start(api.exec_create("lone", ["/bin/sh", "-c", "echo kept > /data/x"])["Id"])
    before, old = read_settings(api, "lone"), api.inspect_container("lone")["Id"]
    newer = image("2", Volumes={"/data": {}})
    registry.push(api, "shop", IMAGE, "1")

    drive = redeploy(podman, "lone", source="container")

    assert drive.state == "succeeded", drive
    assert "update" not in drive.plan, "Podman 4 cannot update a container"
    details = api.inspect_container("lone")
    assert (details["Image"], details["Id"] != old, running(api)) == (newer, True, {"lone"})
    assert read_settings(api, "lone") == before
    command = api.exec_create("lone", ["/bin/cat", "/data/x"])["Id"]
    assert api.exec_start(command) == b"kept\n"


def test_an_image_that_crashes_is_rolled_back(podman: PrivatePodman, api: docker.APIClient, image: Callable[..., str]) -> None:
    image("1")
    project = Project(api, "shop")
    project.add("web", IMAGE, networks={project.add_network(): {"Aliases": ["web"]}}, HostConfig={"RestartPolicy": ALWAYS})
    old = api.inspect_container("shop-web-1")
    image("2", Cmd=CRASH)

    drive = redeploy(podman)

    assert drive.state == "rolled_back", drive
    now = api.inspect_container("shop-web-1")
    assert (now["Id"], now["State"]["Status"]) == (old["Id"], "running")
    assert [entry["Names"] for entry in api.containers(all=True)] == [["/shop-web-1"]]


def test_a_step_and_a_check_stand_around_the_replacement(
    podman: PrivatePodman, api: docker.APIClient, image: Callable[..., str]
) -> None:
    image("1", Cmd=SERVES, StopSignal="SIGKILL")
    labels = {**MONITOR, "windlass.predeploy": "/bin/sh -c 'echo ran >> /data/ran'", "windlass.check.timeout": "2s"}
    host_config = {"Binds": ["step_data:/data"]}
    create_container(api, "lone", IMAGE, HostConfig=host_config, labels={**labels, "windlass.check": "http://:8080/"})
    newer = image("2", Cmd=SERVES, StopSignal="SIGKILL")
    drive = redeploy(podman, "lone", source="container")
    assert drive.state == "succeeded", drive
    assert api.inspect_container("lone")["Image"] == newer
    assert {name.lstrip("/") for entry in api.containers(all=True) for name in entry["Names"]} == {"lone"}
    assert run_in(api, "lone", "/bin/cat", "/data/ran")[1].split() == ["ran"]
    image("3", Cmd=SERVES[:2] + [SERVES[2].replace("8080", "8081")], StopSignal="SIGKILL")
    drive = redeploy(podman, "lone", source="container")
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("rolled_back", "check_failed"), drive
    assert api.inspect_container("lone")["Image"] == newer
    assert {name.lstrip("/") for entry in api.containers(all=True) for name in entry["Names"]} == {"lone"}


def test_a_project_is_scaled_stopped_started_and_deleted(
    podman: PrivatePodman, api: docker.APIClient, image: Callable[..., str]
) -> None:
    image("1", Volumes={"/data": {}})
    project = Project(api, "shop")
    own = {"com.docker.compose.project": "shop"}
    networks = {project.add_network(name, labels=own): {"Aliases": ["web"]} for name in ("front", "back")}
    project.add("web", IMAGE, networks=networks, labels={"windlass.update.order": "start-first"})

    assert scale(podman, 2).state == "succeeded"
    assert running(api) == {"shop-web-1", "shop-web-2"}
    clone = api.inspect_container("shop-web-2")["NetworkSettings"]["Networks"]
    assert {name: set(endpoint["Aliases"]) >= {"web", "shop-web-2"} for name, endpoint in clone.items()} == {
        "shop_front": True,
        "shop_back": True,
    }
    assert redeploy(podman).state == "succeeded"
    assert scale(podman, 1).state == "succeeded"
    assert running(api) == {"shop-web-1"}
    assert act(podman, "stop").state == "succeeded"
    assert running(api) == set()
    assert api.inspect_container("shop-web-1")["State"]["ExitCode"] == 0, "it had the time to end by itself"
    assert act(podman, "start").state == "succeeded"
    assert running(api) == {"shop-web-1"}
    assert act(podman, "delete").state == "succeeded"
    assert api.containers(all=True) == api.volumes()["Volumes"] == []
    assert {network["Name"] for network in api.networks()} == {"bridge"}


def test_a_container_whose_network_others_share_is_redeployed_with_them(
    podman: PrivatePodman, api: docker.APIClient, image: Callable[..., str]
) -> None:
    image("1")
    create_container(api, "vpn", IMAGE)
    create_container(api, "app", IMAGE, HostConfig={"NetworkMode": "container:vpn"})
    vpn = api.inspect_container("vpn")["Id"]
    image("2", Cmd=CRASH)
    assert redeploy(podman, "vpn", source="container").state == "rolled_back"
    assert (api.inspect_container("vpn")["Id"], running(api)) == (vpn, {"vpn", "app"})
    image("3")
    drive = redeploy(podman, "vpn", source="container")
    assert drive.state == "succeeded", drive
    mode = api.inspect_container("app")["HostConfig"]["NetworkMode"]
    assert mode == f"container:{api.inspect_container('vpn')['Id']}"
    assert {name for entry in api.containers(all=True) for name in entry["Names"]} == {"/vpn", "/app"}


def test_a_health_check_is_waited_for(podman: PrivatePodman, api: docker.APIClient, image: Callable[..., str]) -> None:
    image("1")
    create_container(api, "checked", IMAGE, Healthcheck={**HEALTHY, "Interval": 10**9})
    ended = threading.Event()

    def run_health_checks() -> None:
        with podman.connect() as hands:
            while not ended.wait(0.2):
                for entry in hands.containers():
                    podman.run_health_check(hands, entry["Id"])

    timer = threading.Thread(target=run_health_checks)
    timer.start()
    try:
        eventually(lambda: api.inspect_container("checked")["State"]["Health"]["Status"] == "healthy")
        assert redeploy(podman, "checked", source="container").state == "succeeded"
    finally:
        ended.set()
        timer.join()
    with EngineClient(podman.endpoint) as client:
        [application] = observe_engine(client).applications
    assert [(container.name, container.health) for container in application.containers] == [("checked", "healthy")]


def test_pods_and_what_the_api_would_lose_are_refused_untouched(
    podman: PrivatePodman, api: docker.APIClient, image: Callable[..., str]
) -> None:
    image("1")
    podman.run("pod", "create", "--name", "group", "--infra-image", IMAGE)
    podman.run("run", "-d", "--pod", "group", "--name", "member", IMAGE)
    podman.run("run", "-d", "--ip", "10.88.0.77", "--name", "fixed", IMAGE)
    create_container(api, "unit", IMAGE, labels={**MONITOR, "PODMAN_SYSTEMD_UNIT": "unit.service"})
    before = {entry["Id"]: entry["State"] for entry in api.containers(all=True)}
    for name, reason in (("member", "it belongs to a pod"), ("fixed", "created with --ip"), ("unit", "systemd runs it")):
        with pytest.raises(PlanRefused, match=reason):
            redeploy(podman, name, source="container")
        with pytest.raises(PlanRefused, match=reason):
            scale(podman, 2, name, name, source="container")
    assert {entry["Id"]: entry["State"] for entry in api.containers(all=True)} == before
    with EngineClient(podman.endpoint) as client:
        observed = observe_engine(client)
    assert observed.facts.engine_name == "Podman"
    assert {application.name for application in observed.applications} == {"member", "fixed", "unit"}


def test_the_end_of_a_process_is_noticed(podman: PrivatePodman, api: docker.APIClient, image: Callable[..., str]) -> None:
    image("1", Cmd=["/bin/sh", "-c", "sleep 0.5; exit 3"])
    create_container(api, "short", IMAGE)
    started = time.time()
    with EngineClient(podman.endpoint) as client, EventStream(client, started, started + 5, EVENT_FILTERS) as stream:
        assert stream.wait_for_event()
        eventually(lambda: observe_engine(client).applications[0].status == "stopped")

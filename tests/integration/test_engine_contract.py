"""One suite for the real engine, through EngineClient, and for FakeEngine: both behave as the driver expects."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.credentials import PullCredentials
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.connection.file_requests import FileStat, StoredFile
from clusters.engine.errors import EngineError, EngineRefused, PullFailed, TargetMissing
from clusters.engine.fakes.fake_engine import CANNOT_START, COMPLETES, CRASHES, HEALTHY, SERVES, UNHEALTHY, FakeEngine
from clusters.engine.hooks import LOOK_COMMAND, read_check
from clusters.engine.inspection.container_details import read_container_details
from clusters.engine.inspection.resource_usage import ResourceUsage, read_resource_usage
from clusters.engine.logs.stream_format import RawLine, read_log_lines
from clusters.engine.masking import MASK
from clusters.registry.errors import RegistryError
from tests.harness.eventually import eventually
from tests.harness.images import SERVE, make_image
from tests.harness.podman import PrivatePodman, make_podman_image
from tests.harness.proc import find_free_port
from tests.harness.registry import LOGIN, PrivateRegistry, run_registry

Json = dict[str, Any]
IMAGE = "localhost/windlass-test/contract:1"  # Podman writes whole names
OLD_CONFIG: Json = {
    "Env": ["COLOR=red", "SIZE=1"],
    "Cmd": SERVE,
    "Labels": {"tier": "web", "mine": "image"},
    "Volumes": {"/data": {}},
    "ExposedPorts": {"80/tcp": {}},
    "WorkingDir": "/srv",
    "StopSignal": "SIGTERM",
}

# The tests that also run on Podman. It differs in what the others check: it knows no restart policy of an existing container,
# reports no requested address, writes whole names of images, has no host and none among its networks, whole seconds in logs,
# words of its own in refusals, and without systemd no health checks.
ON_PODMAN = {
    "test_list_has_stopped_containers_and_obeys_label_filters",
    "test_taken_name_is_a_conflict",
    "test_running_container_is_stopped_started_and_removed",
    "test_crashing_container_exits_with_its_code",
    "test_command_that_is_not_there_is_refused_at_the_start",
    "test_auto_removed_container_no_longer_exists_after_its_stop",
    "test_networks_are_connected_and_disconnected",
    "test_network_of_another_container_is_shared",
    "test_fixed_host_port_is_taken_by_the_first",
    "test_anonymous_volumes_stay_unless_their_removal_is_requested_and_named_ones_always",
    "test_volume_in_use_is_a_conflict",
    "test_pulled_image_is_there_with_its_digest",
    "test_unknown_reference_cannot_be_pulled",
    "test_use_is_measured_from_two_samples",
    "test_an_engine_that_is_waited_for_takes_both_samples",
    "test_what_does_not_run_uses_nothing",
    "test_disk_usage_counts_an_images_containers_and_its_shared_layers",
    "test_events_between_two_moments_are_returned_at_once",
    "test_a_check_asks_from_within_the_network_of_another_container",
    "test_the_script_of_a_check_can_only_look_for_its_tools",
}


@dataclass
class Bench:
    """An engine under test: its client, and ways to arrange what the client cannot."""

    client: Any
    add_image: Callable[..., str]
    add_network: Callable[..., str]
    publish: Callable[..., str]  # publish(**config) -> reference of an image that only the registry has
    publish_private: Callable[..., str]  # like publish, in a registry that requires LOGIN
    registry_host: str
    subnet: str
    remove_path: Callable[[str], None] = lambda path: None  # the engine's host does not have it
    write_log: Callable[..., None] = lambda container, *texts, stream="stdout": None  # what the container's command writes

    def run(self, name: str, image: str = IMAGE, *, start: bool = True, **config: Any) -> str:
        container = self.client.create_container(name, {"Image": image, **config})
        if start:
            self.client.start_container(container)
        return str(container)

    def inspect(self, container: str) -> Json:
        return dict(self.client.inspect_container(container))

    def state(self, container: str) -> str:
        return str(self.inspect(container)["State"]["Status"])


@contextlib.contextmanager
def real_bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    engine, api = request.getfixturevalue("engine"), request.getfixturevalue("api")
    registry: PrivateRegistry = request.getfixturevalue("registry")
    subnet = engine.new_subnet()

    def add_network(name: str, subnet: str = "", labels: Json | None = None) -> str:
        config = [{"Subnet": subnet}] if subnet else []
        api.create_network(name, ipam={"Driver": "default", "Config": config}, labels=labels)
        return name

    def publish(place: PrivateRegistry = registry, **config: Any) -> str:
        make_image(api, "windlass-test/published:1", **config)
        reference = place.push(api, "contract", "windlass-test/published:1", "1")
        api.remove_image("windlass-test/published:1")
        return reference

    def publish_private(**config: Any) -> str:
        return publish(request.getfixturevalue("private_registry"), **config)

    with EngineClient(engine.endpoint) as client:
        add_image = lambda reference=IMAGE, **config: make_image(api, reference, **config)  # noqa: E731
        yield Bench(client, add_image, add_network, publish, publish_private, registry.host, subnet)
    for image in api.images(name="127.0.0.1:*/contract"):
        api.remove_image(image["Id"], force=True)


@contextlib.contextmanager
def fake_bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    fake = FakeEngine()

    fake.private["127.0.0.1:6"] = f"{LOGIN['user']}:{LOGIN['password']}"

    def publish(host: str = "127.0.0.1:5", **config: Any) -> str:
        fake.publish(f"{host}/contract:1", **config)
        return f"{host}/contract:1"

    def publish_private(**config: Any) -> str:
        return publish("127.0.0.1:6", **config)

    add_image = lambda reference=IMAGE, **config: fake.add_image(reference, **config)  # noqa: E731
    with fake as client:
        yield Bench(
            client,
            add_image,
            fake.add_network,
            publish,
            publish_private,
            "127.0.0.1:5",
            "10.9.8.0/24",
            fake.missing_paths.add,
            fake.write_log,
        )


@pytest.fixture(scope="module")
def private_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRegistry]:
    with run_registry(tmp_path_factory.mktemp("private"), **LOGIN) as registry:
        yield registry


@contextlib.contextmanager
def podman_bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    podman: PrivatePodman = request.getfixturevalue("podman")
    registry: PrivateRegistry = request.getfixturevalue("podmans_registry")
    subnets = (f"10.89.{number}.0/24" for number in itertools.count(200))

    with podman.connect() as api, EngineClient(podman.endpoint) as client:

        def add_image(reference: str = IMAGE, **config: Any) -> str:
            return make_podman_image(api, reference, **config)

        def add_network(name: str, subnet: str = "", labels: Json | None = None) -> str:
            config = [{"Subnet": subnet}] if subnet else []
            api.create_network(name, ipam={"Driver": "default", "Config": config}, labels=labels)
            return name

        def publish(**config: Any) -> str:
            add_image("localhost/windlass-test/published:1", **config)
            reference = registry.push(api, "contract", "localhost/windlass-test/published:1", "1")
            api.remove_image("localhost/windlass-test/published:1")
            return reference

        yield Bench(client, add_image, add_network, publish, publish, registry.host, next(subnets))
        for image in api.images():
            if any(tag.startswith(registry.host) for tag in image["RepoTags"] or []):
                api.remove_image(image["Id"], force=True)


@pytest.fixture(scope="module")
def podmans_registry(module_podman: PrivatePodman, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRegistry]:
    folder = tmp_path_factory.mktemp("podmans-registry")
    with run_registry(folder, address=module_podman.host_address, port=module_podman.registry_port) as registry:
        yield registry


BENCHES = {"fake": fake_bench, "real": real_bench, "podman": podman_bench}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test runs on the fake and on Docker, and on Podman where it is one of ON_PODMAN."""
    if "bench" in metafunc.fixturenames:
        on_podman = ["podman"] if metafunc.function.__name__ in ON_PODMAN else []
        metafunc.parametrize("bench", ["fake", "real", *on_podman], indirect=True)


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with BENCHES[request.param](request) as made:
        yield made


@contextlib.contextmanager
def raises(kind: type[EngineError], code: str) -> Iterator[None]:
    with pytest.raises(EngineError) as caught:
        yield
    assert (type(caught.value), caught.value.code) == (kind, code), caught.value


# Reading


def test_api_version_is_at_least_what_scaling_needs(bench: Bench) -> None:
    assert bench.client.api_version >= (1, 41)
    assert {"Version", "ApiVersion"} <= set(bench.client.version())
    assert {"ID", "Name", "OperatingSystem", "Architecture", "NCPU", "MemTotal", "SystemTime", "Swarm"} <= set(
        bench.client.info()
    )


@pytest.mark.parametrize(
    "ask",
    [
        lambda c: c.inspect_container("missing"),
        lambda c: c.inspect_image("missing:1"),
        lambda c: c.start_container("missing"),
        lambda c: c.stop_container("missing"),
        lambda c: c.kill_container("missing"),
        lambda c: c.rename_container("missing", "other"),
        lambda c: c.remove_container("missing"),
        lambda c: c.remove_volume("missing"),
        lambda c: c.remove_network("missing"),
        lambda c: c.restart_container("missing"),
        lambda c: c.update_restart_policy("missing", {"Name": "no"}),
        lambda c: c.connect_network("missing", "missing", {}),
        lambda c: c.create_container("fresh", {"Image": "missing:1"}),
        lambda c: c.container_stats("missing"),
    ],
)
def test_what_does_not_exist_is_a_missing_target(bench: Bench, ask: Callable[[Any], Any]) -> None:
    with raises(TargetMissing, "not_found"):
        ask(bench.client)


def test_list_entry_has_what_the_inventory_reads(bench: Bench) -> None:
    image = bench.add_image(**OLD_CONFIG)
    container = bench.run("listed", Labels={"mine": "user"}, Healthcheck=HEALTHY)
    eventually(lambda: "(healthy)" in bench.client.list_containers()[0]["Status"])
    [entry] = bench.client.list_containers()
    assert (entry["Id"], entry["Names"], entry["State"]) == (container, ["/listed"], "running")
    assert (entry["Image"], entry["ImageID"]) == (IMAGE, image)
    assert entry["Labels"] == {"tier": "web", "mine": "user"}
    assert entry["Ports"] == [{"PrivatePort": 80, "Type": "tcp"}]
    assert entry["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    assert isinstance(entry["Created"], int)


def test_list_shows_the_image_as_an_id_once_the_tag_has_moved(bench: Bench) -> None:
    image = bench.add_image()
    container = bench.run("listed")
    bench.add_image(Env=["VERSION=2"])
    assert bench.client.list_containers()[0]["Image"] == image
    assert bench.inspect(container)["Config"]["Image"] == IMAGE


def test_list_has_stopped_containers_and_obeys_label_filters(bench: Bench) -> None:
    bench.add_image()
    bench.run("first", start=False, Labels={"team": "blue", "tier": "web"})
    bench.run("second", start=False, Labels={"team": "red"})

    def names(**filters: Any) -> set[str]:
        return {entry["Names"][0] for entry in bench.client.list_containers(filters or None)}

    assert names() == {"/first", "/second"}
    assert names(label="team=blue") == names(label=["team=blue", "tier"]) == {"/first"}
    assert names(label=["team"]) == {"/first", "/second"}
    assert names(label=["team=green"]) == set()


def test_images_are_found_by_reference_and_by_id(bench: Bench) -> None:
    image = bench.add_image(**OLD_CONFIG)
    by_reference = bench.client.inspect_image(IMAGE)
    assert by_reference["Id"] == image
    assert bench.client.inspect_image(image)["Id"] == image
    assert {name: by_reference["Config"][name] for name in OLD_CONFIG} == OLD_CONFIG
    assert IMAGE in next(listed for listed in bench.client.list_images() if listed["Id"] == image)["RepoTags"]


# Create: the image's defaults and the body's settings


def test_created_container_has_the_images_defaults(bench: Bench) -> None:
    image = bench.add_image(**OLD_CONFIG)
    inspected = bench.inspect(bench.run("fresh", start=False))
    assert (inspected["Name"], inspected["Image"], inspected["RestartCount"]) == ("/fresh", image, 0)
    assert {name: inspected["Config"][name] for name in OLD_CONFIG} == OLD_CONFIG
    assert inspected["Config"]["Hostname"] == inspected["Id"][:12]
    assert inspected["HostConfig"]["NetworkMode"] == "default"
    assert inspected["HostConfig"]["RestartPolicy"]["Name"] in ("", "no")
    assert (inspected["State"]["Status"], inspected["State"]["Running"]) == ("created", False)


def test_body_goes_before_the_images_defaults(bench: Bench) -> None:
    bench.add_image(**OLD_CONFIG)
    own: Json = {
        "Env": ["COLOR=blue"],
        "Cmd": ["/bin/true"],
        "Labels": {"mine": "user"},
        "WorkingDir": "/tmp",
        "StopSignal": "SIGINT",
    }
    config = bench.inspect(bench.run("fresh", start=False, **own))["Config"]
    assert config["Env"] == ["COLOR=blue", "SIZE=1"]
    assert config["Labels"] == {"tier": "web", "mine": "user"}
    assert {name: config[name] for name in ("Cmd", "WorkingDir", "StopSignal")} == {
        name: own[name] for name in ("Cmd", "WorkingDir", "StopSignal")
    }


def test_images_command_goes_with_its_entrypoint_only(bench: Bench) -> None:
    bench.add_image(Entrypoint=["/bin/sh", "-c"], Cmd=[SERVE[2]])
    config = bench.inspect(bench.run("plain", start=False))["Config"]
    assert (config["Entrypoint"], config["Cmd"]) == (["/bin/sh", "-c"], [SERVE[2]])
    config = bench.inspect(bench.run("custom", start=False, Entrypoint=["/bin/echo"]))["Config"]
    assert (config["Entrypoint"], config["Cmd"]) == (["/bin/echo"], None)
    config = bench.inspect(bench.run("command", start=False, Cmd=["exit 0"]))["Config"]
    assert (config["Entrypoint"], config["Cmd"]) == (["/bin/sh", "-c"], ["exit 0"])


def test_taken_name_is_a_conflict(bench: Bench) -> None:
    bench.add_image()
    bench.run("taken", start=False)
    other = bench.run("other", start=False)
    with raises(EngineRefused, "conflict"):
        bench.run("taken", start=False)
    with raises(EngineRefused, "conflict"):
        bench.client.rename_container(other, "taken")


# Life


def test_running_container_is_stopped_started_and_removed(bench: Bench) -> None:
    bench.add_image()
    container = bench.run("living", Cmd=["/bin/sh", "-c", "trap 'exit 0' TERM; echo ready; sleep 100000 & wait"])
    bench.write_log(container, "ready")
    assert bench.inspect("living")["Id"] == container
    assert bench.inspect(container[:12])["State"]["Running"]
    bench.client.start_container(container)  # already running: no error
    with raises(EngineRefused, "conflict"):
        bench.client.remove_container(container)
    eventually(lambda: read_log(bench, container))  # from now on its signal handler is set
    bench.client.stop_container(container)
    assert (bench.state(container), bench.inspect(container)["State"]["ExitCode"]) == ("exited", 0)
    bench.client.stop_container(container)  # already stopped: no error
    bench.client.start_container(container)
    assert bench.state(container) == "running"
    bench.client.kill_container(container)
    eventually(lambda: bench.state(container) == "exited")
    with raises(EngineRefused, "conflict"):
        bench.client.kill_container(container)
    bench.client.remove_container(container)
    with raises(TargetMissing, "not_found"):
        bench.inspect(container)


def test_running_container_is_removed_by_force(bench: Bench) -> None:
    bench.add_image()
    bench.client.remove_container(bench.run("living"), force=True)
    assert bench.client.list_containers() == []


def test_renamed_container_answers_to_its_new_name(bench: Bench) -> None:
    bench.add_image()
    container = bench.run("before")
    bench.client.rename_container(container, "after")
    assert bench.inspect("after")["Id"] == container
    with raises(TargetMissing, "not_found"):
        bench.inspect("before")
    bench.run("before", start=False)


def test_crashing_container_exits_with_its_code(bench: Bench) -> None:
    bench.add_image(Cmd=CRASHES)
    container = bench.run("crashing")
    eventually(lambda: bench.state(container) == "exited")
    state = bench.inspect(container)["State"]
    assert (state["Running"], state["Restarting"], state["ExitCode"]) == (False, False, 1)


def test_completing_container_exits_with_0(bench: Bench) -> None:
    bench.add_image(Cmd=COMPLETES)
    container = bench.run("completing")
    eventually(lambda: bench.state(container) == "exited")
    state = bench.inspect(container)["State"]
    assert (state["Running"], state["Restarting"], state["ExitCode"]) == (False, False, 0)


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("http://:8080/index.html", "200 OK"),
        ("tcp://:8080", "open"),
        ("http://:8081/", "Connection refused"),
        ("tcp://:8081", "Connection refused"),
    ],
)
def test_a_check_asks_from_within_the_network_of_another_container(bench: Bench, address: str, answer: str) -> None:
    bench.add_image()
    served = bench.run("served", Cmd=SERVES, StopSignal="SIGKILL", HostConfig={"NetworkMode": "none"})
    check = read_check("served", {"windlass.check": address})
    assert check
    host_config = {"NetworkMode": f"container:{served}", "CapDrop": ["ALL"], "ReadonlyRootfs": True}
    command = check.make_command("127.0.0.1")
    helper = bench.run("helper", Entrypoint=command, Cmd=[], StopSignal="SIGKILL", HostConfig=host_config)
    eventually(lambda: any(answer in line.text for line in read_log(bench, helper)))
    if answer != "Connection refused":
        eventually(lambda: bench.state(helper) == "exited")
        assert bench.inspect(helper)["State"]["ExitCode"] == 0
    else:
        assert bench.state(helper) == "running"
    bench.client.remove_container(helper, force=True, volumes=True)


def test_the_script_of_a_check_can_only_look_for_its_tools(bench: Bench) -> None:
    bench.add_image()
    helper = bench.run("helper", Entrypoint=LOOK_COMMAND, Cmd=[], HostConfig={"NetworkMode": "none", "ReadonlyRootfs": True})
    eventually(lambda: bench.state(helper) == "exited")
    assert bench.inspect(helper)["State"]["ExitCode"] == 0


def test_crash_loop_counts_its_restarts(bench: Bench) -> None:
    bench.add_image(Cmd=CRASHES)
    container = bench.run("looping", HostConfig={"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}})
    eventually(lambda: bench.inspect(container)["RestartCount"] >= 2)
    eventually(lambda: bench.state(container) == "restarting")
    bench.client.stop_container(container)
    eventually(lambda: bench.state(container) == "exited")


def test_command_that_is_not_there_is_refused_at_the_start(bench: Bench) -> None:
    bench.add_image(Cmd=CANNOT_START)
    container = bench.run("broken", start=False)
    with raises(EngineRefused, "engine_refused"):
        bench.client.start_container(container)
    assert bench.state(container) == "created"
    bench.client.remove_container(container)


@pytest.mark.parametrize(("check", "word"), [(HEALTHY, "healthy"), (UNHEALTHY, "unhealthy")])
def test_health_is_reported(bench: Bench, check: Json, word: str) -> None:
    bench.add_image(Healthcheck=check)
    container = bench.run("checked")
    assert eventually(lambda: bench.inspect(container)["State"]["Health"]["Status"] == word)
    assert bench.inspect(container)["Config"]["Healthcheck"] == check


def test_health_check_takes_what_it_leaves_out_from_the_image(bench: Bench) -> None:
    bench.add_image(Healthcheck=UNHEALTHY)
    container = bench.run("checked", start=False, Healthcheck={"Test": ["CMD", "/bin/true"], "Retries": 7})
    assert bench.inspect(container)["Config"]["Healthcheck"] == {**UNHEALTHY, "Test": ["CMD", "/bin/true"], "Retries": 7}


def test_health_check_none_gives_no_health(bench: Bench) -> None:
    bench.add_image(Healthcheck=UNHEALTHY)
    container = bench.run("unchecked", Healthcheck={"Test": ["NONE"]})
    assert "Health" not in bench.inspect(container)["State"]


def test_auto_removed_container_no_longer_exists_after_its_stop(bench: Bench) -> None:
    bench.add_image()
    container = bench.run("passing", HostConfig={"AutoRemove": True})
    assert bench.inspect(container)["HostConfig"]["AutoRemove"] is True
    bench.client.stop_container(container)
    eventually(lambda: bench.client.list_containers() == [])


def test_auto_removed_container_accepts_no_restart_policy(bench: Bench) -> None:
    bench.add_image()
    container = bench.run("passing", HostConfig={"AutoRemove": True})
    with pytest.raises(EngineRefused):
        bench.client.update_restart_policy(container, {"Name": "always"})


def test_restart_policy_is_updated(bench: Bench) -> None:
    bench.add_image()
    container = bench.run("steady", HostConfig={"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}})
    bench.client.update_restart_policy(container, {"Name": "no", "MaximumRetryCount": 0})
    assert bench.inspect(container)["HostConfig"]["RestartPolicy"] == {"Name": "no", "MaximumRetryCount": 0}
    bench.client.update_restart_policy(container, {"Name": "on-failure", "MaximumRetryCount": 3})
    assert bench.inspect(container)["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}


def test_restarted_container_is_the_same_with_a_new_start(bench: Bench) -> None:
    bench.add_image()
    container = bench.run("living", HostConfig={"AutoRemove": True})
    before = bench.inspect(container)
    bench.client.restart_container(container)
    after = bench.inspect("living")
    assert (after["Id"], after["State"]["Status"], after["RestartCount"]) == (container, "running", 0)
    assert after["State"]["StartedAt"] > before["State"]["StartedAt"]
    assert after["HostConfig"]["AutoRemove"] is True


def test_stopped_container_is_started_by_a_restart(bench: Bench) -> None:
    bench.add_image()
    container = bench.run("resting")
    bench.client.stop_container(container)
    bench.client.restart_container(container)
    assert bench.state(container) == "running"


def test_manual_start_resets_the_count_of_restarts(bench: Bench) -> None:
    bench.add_image(Cmd=CRASHES)
    container = bench.run("looping", HostConfig={"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}})
    eventually(lambda: bench.inspect(container)["RestartCount"] >= 4)
    bench.client.stop_container(container)
    bench.client.start_container(container)
    assert bench.inspect(container)["RestartCount"] < 4


# Networks


def test_networks_are_found_by_label_and_removed(bench: Bench) -> None:
    mine = {"com.docker.compose.project": "shop"}
    bench.add_network("shop_default", labels=mine)
    bench.add_network("other", labels={"com.docker.compose.project": "other"})
    [network] = bench.client.list_networks({"label": ["com.docker.compose.project=shop"]})
    assert (network["Name"], network["Labels"]) == ("shop_default", mine)
    bench.client.remove_network(network["Id"])
    assert bench.client.list_networks({"label": ["com.docker.compose.project=shop"]}) == []


def test_network_of_a_running_container_stays_and_one_of_a_stopped_container_does_not(bench: Bench) -> None:
    bench.add_image()
    network = bench.add_network("front")
    container = bench.run("member", HostConfig={"NetworkMode": network})
    with pytest.raises(EngineRefused):
        bench.client.remove_network(network)
    bench.client.stop_container(container)
    bench.client.remove_network(network)


def test_endpoint_has_its_aliases_and_an_address(bench: Bench) -> None:
    bench.add_image()
    front = bench.add_network("front")
    networking = {"EndpointsConfig": {front: {"Aliases": ["web"]}}}
    container = bench.run("member", HostConfig={"NetworkMode": front}, NetworkingConfig=networking)
    networks = bench.inspect(container)["NetworkSettings"]["Networks"]
    assert list(networks) == [front]
    assert set(networks[front]["Aliases"]) == {"web", container[:12]}
    assert networks[front]["IPAddress"]
    assert networks[front]["IPAMConfig"] in (None, {})


def test_aliases_on_the_default_bridge_are_refused(bench: Bench) -> None:
    bench.add_image()
    with pytest.raises(EngineRefused):
        bench.run("member", NetworkingConfig={"EndpointsConfig": {"bridge": {"Aliases": ["web"]}}})


def test_networks_are_connected_and_disconnected(bench: Bench) -> None:
    bench.add_image()
    front, back = bench.add_network("front"), bench.add_network("back")
    container = bench.run("member", HostConfig={"NetworkMode": front}, start=False)
    bench.client.connect_network(back, container, {"Aliases": ["deep"]})
    bench.client.start_container(container)
    networks = bench.inspect(container)["NetworkSettings"]["Networks"]
    assert set(networks) == {front, back}
    assert "deep" in networks[back]["Aliases"]
    with pytest.raises(EngineRefused):
        bench.client.connect_network(back, container, {})
    bench.client.disconnect_network(back, container)
    assert set(bench.inspect(container)["NetworkSettings"]["Networks"]) == {front}
    bench.client.connect_network(back, container, {})
    assert bench.inspect(container)["NetworkSettings"]["Networks"][back]["IPAddress"]


def test_static_address_is_given_and_cannot_be_given_twice(bench: Bench) -> None:
    bench.add_image()
    static = bench.add_network("static", bench.subnet)
    address = bench.subnet.replace(".0/24", ".77")
    config: Json = {
        "HostConfig": {"NetworkMode": static},
        "NetworkingConfig": {"EndpointsConfig": {static: {"IPAMConfig": {"IPv4Address": address}}}},
    }
    first = bench.run("first", **config)
    endpoint = bench.inspect(first)["NetworkSettings"]["Networks"][static]
    assert (endpoint["IPAddress"], endpoint["IPAMConfig"]) == (address, {"IPv4Address": address})
    second = bench.run("second", start=False, **config)
    with pytest.raises(EngineRefused):
        bench.client.start_container(second)
    bench.client.stop_container(first)
    bench.client.start_container(second)


def test_network_of_another_container_is_shared(bench: Bench) -> None:
    bench.add_image()
    parent = bench.run("parent")
    child = bench.run("child", HostConfig={"NetworkMode": f"container:{parent}"})
    inspected = bench.inspect(child)
    assert inspected["HostConfig"]["NetworkMode"] == f"container:{parent}"
    assert inspected["NetworkSettings"]["Networks"] == {}


def test_network_of_a_removed_container_cannot_be_joined(bench: Bench) -> None:
    bench.add_image()
    parent = bench.run("parent")
    child = bench.run("child", HostConfig={"NetworkMode": f"container:{parent}"}, start=False)
    bench.client.remove_container(parent, force=True)
    with pytest.raises((EngineRefused, TargetMissing)):
        bench.client.start_container(child)


def test_fixed_host_port_is_taken_by_the_first(bench: Bench) -> None:
    bench.add_image()
    config = {
        "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18475"}]}},
        "ExposedPorts": {"80/tcp": {}},
    }
    first = bench.run("first", **config)
    second = bench.run("second", start=False, **config)
    with raises(EngineRefused, "engine_refused"):
        bench.client.start_container(second)
    bench.client.stop_container(first)
    bench.client.start_container(second)


# Volumes


def mounts_of(bench: Bench, container: str) -> dict[str, Json]:
    return {mount["Destination"]: mount for mount in bench.inspect(container)["Mounts"]}


def test_volumes_of_the_image_and_of_the_binds_are_mounted(bench: Bench) -> None:
    bench.add_image(Volumes={"/data": {}, "/srv": {}})
    container = bench.run("holding", HostConfig={"Binds": ["named:/srv:ro", "/tmp:/tmp"]})
    mounts = mounts_of(bench, container)
    assert {place: mount["Type"] for place, mount in mounts.items()} == {"/data": "volume", "/srv": "volume", "/tmp": "bind"}
    assert (mounts["/srv"]["Name"], mounts["/srv"]["RW"], mounts["/tmp"]["Source"]) == ("named", False, "/tmp")
    assert len(mounts["/data"]["Name"]) == 64


def test_mounts_of_the_api_are_mounted(bench: Bench) -> None:
    bench.add_image()
    mounts = [{"Type": "volume", "Source": "named", "Target": "/srv", "ReadOnly": True}, {"Type": "volume", "Target": "/data"}]
    container = bench.run("holding", HostConfig={"Mounts": mounts})
    made = mounts_of(bench, container)
    assert (made["/srv"]["Name"], made["/srv"]["RW"]) == ("named", False)
    assert len(made["/data"]["Name"]) == 64


def test_anonymous_volumes_stay_unless_their_removal_is_requested_and_named_ones_always(bench: Bench) -> None:
    bench.add_image(Volumes={"/data": {}})
    binds = {"HostConfig": {"Binds": ["named:/srv"]}}
    first = bench.run("first", start=False, **binds)
    kept = mounts_of(bench, first)["/data"]["Name"]
    bench.client.remove_container(first)
    second = bench.run("second", start=False, **binds)
    dropped = mounts_of(bench, second)["/data"]["Name"]
    bench.client.remove_container(second, volumes=True)
    bench.client.remove_volume(kept)
    with raises(TargetMissing, "not_found"):
        bench.client.remove_volume(dropped)
    bench.client.remove_volume("named")


def test_volume_in_use_is_a_conflict(bench: Bench) -> None:
    bench.add_image()
    bench.run("holding", start=False, HostConfig={"Binds": ["named:/srv"]})
    with raises(EngineRefused, "conflict"):
        bench.client.remove_volume("named")


def test_volume_attached_by_its_name_outlives_a_removal_with_volumes(bench: Bench) -> None:
    bench.add_image(Volumes={"/data": {}})
    first = bench.run("first", start=False)
    name = mounts_of(bench, first)["/data"]["Name"]
    second = bench.run("second", start=False, HostConfig={"Binds": [f"{name}:/data"]})
    bench.client.remove_container(first)
    bench.client.remove_container(second, volumes=True)
    bench.client.remove_volume(name)


def test_auto_removed_container_takes_its_anonymous_volumes_along(bench: Bench) -> None:
    bench.add_image(Volumes={"/data": {}})
    container = bench.run("passing", HostConfig={"AutoRemove": True})
    name = mounts_of(bench, container)["/data"]["Name"]
    bench.client.stop_container(container)
    eventually(lambda: bench.client.list_containers() == [])
    with raises(TargetMissing, "not_found"):
        bench.client.remove_volume(name)


# Pull


def test_pulled_image_is_there_with_its_digest(bench: Bench) -> None:
    reference = bench.publish(Env=["VERSION=2"])
    with raises(TargetMissing, "not_found"):
        bench.client.inspect_image(reference)
    progress: list[int] = []
    bench.client.pull_image(reference, on_progress=lambda: progress.append(1))
    pulled = bench.client.inspect_image(reference)
    assert "VERSION=2" in pulled["Config"]["Env"]
    assert progress
    [digest] = pulled["RepoDigests"]
    assert digest.startswith(f"{reference.rpartition(':')[0]}@sha256:")
    assert bench.client.inspect_image(digest)["Id"] == pulled["Id"]


def test_image_is_pulled_by_its_digest_without_a_tag(bench: Bench) -> None:
    reference = bench.publish(Env=["VERSION=2"])
    bench.client.pull_image(reference)
    pulled = bench.client.inspect_image(reference)
    [digest] = pulled["RepoDigests"]
    bench.client.remove_image(pulled["Id"])
    with raises(TargetMissing, "not_found"):
        bench.client.inspect_image(digest)
    bench.client.pull_image(digest)
    again = bench.client.inspect_image(digest)
    assert (again["Id"], again["RepoTags"] or [], again["RepoDigests"]) == (pulled["Id"], [], [digest])
    with raises(PullFailed, "pull_not_found"):
        bench.client.pull_image(f"{digest.partition('@')[0]}@sha256:{'0' * 64}")


def test_pull_moves_the_tag_to_the_new_image(bench: Bench) -> None:
    reference = bench.publish(Env=["VERSION=2"])
    old = bench.add_image(reference, Env=["VERSION=1"])
    container = bench.run("running", reference)
    bench.client.pull_image(reference)
    assert bench.client.inspect_image(reference)["Id"] != old
    assert bench.inspect(container)["Image"] == old
    assert bench.client.inspect_image(old)["Config"]["Env"] == ["VERSION=1"]


def test_unknown_reference_cannot_be_pulled(bench: Bench) -> None:
    with raises(PullFailed, "pull_not_found"):
        bench.client.pull_image(f"{bench.registry_host}/never-pushed:1")


def test_stored_credentials_are_read_at_each_pull_also_by_siblings_and_after_explicit_ones(bench: Bench) -> None:
    reference = bench.publish_private(Env=["VERSION=2"])
    stored: list[Json | None] = [None]
    right, wrong = ({"username": LOGIN["user"], "password": text} for text in (LOGIN["password"], "wrong"))
    bench.client.credentials = lambda asked, endpoint: PullCredentials(stored[0] if asked == reference else None)
    for refused in (None, wrong):
        stored[0] = refused
        with raises(PullFailed, "pull_unauthorized"):
            bench.client.pull_image(reference)
    bench.client.pull_image(reference, right)
    bench.client.remove_image(reference)
    stored[0] = right
    with raises(PullFailed, "pull_unauthorized"):
        bench.client.pull_image(reference, wrong)
    with bench.client.sibling() as sibling:
        sibling.pull_image(reference)
    assert "VERSION=2" in bench.client.inspect_image(reference)["Config"]["Env"]


def test_credentials_that_cannot_be_read_are_a_failed_pull(bench: Bench) -> None:
    def fail(reference: str, endpoint: EngineEndpoint) -> PullCredentials:
        raise RegistryError("The credential helper ecr-login is not installed.", "helper_failed")

    bench.client.credentials = fail
    reference = f"{bench.registry_host}/contract:1"
    for ask in (bench.client.pull_image, bench.client.resolve_digest, bench.client.check_credentials):
        with raises(PullFailed, "credentials_failed"):
            ask(reference)


# Use


def test_use_is_measured_from_two_samples(bench: Bench) -> None:
    bench.add_image()
    container = bench.run("measured", HostConfig={"Memory": 64 << 20})
    first = read_resource_usage(bench.client.container_stats(container))
    assert first is not None
    assert first.cpu_percent is None, "one sample tells nothing about the CPU"
    assert first.memory_limit == 64 << 20
    assert 0 < first.memory < first.memory_limit
    assert first.pids >= 1

    def measure() -> ResourceUsage | None:
        use = read_resource_usage(bench.client.container_stats(container), first.counters)
        return use if use and use.cpu_percent is not None else None

    second = eventually(measure)
    assert 0 <= second.cpu_percent <= 100 * second.cpus
    assert second.read_at > first.read_at


def test_an_engine_that_is_waited_for_takes_both_samples(bench: Bench) -> None:
    bench.add_image()
    use = read_resource_usage(bench.client.container_stats(bench.run("measured"), wait=True))
    assert use is not None
    assert use.cpu_percent is not None


def test_what_does_not_run_uses_nothing(bench: Bench) -> None:
    bench.add_image()
    container = bench.run("stopped", start=False)
    assert read_resource_usage(bench.client.container_stats(container)) is None
    bench.client.start_container(container)
    bench.client.kill_container(container)
    eventually(lambda: bench.state(container) == "exited")
    assert read_resource_usage(bench.client.container_stats(container)) is None


# Details


def test_both_engines_give_a_containers_page_the_same_details(bench: Bench) -> None:
    bench.add_image(**OLD_CONFIG)
    bench.add_network("shop_default", bench.subnet)
    container = bench.run(
        "shown",
        Env=["DB_PASSWORD=s3cret", "COLOR=blue"],
        Healthcheck=HEALTHY,
        HostConfig={
            "NetworkMode": "shop_default",
            "Memory": 64 << 20,
            "NanoCpus": 500_000_000,
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
            "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(find_free_port())}]},
            "Binds": ["stuff:/stuff:ro"],
        },
        NetworkingConfig={"EndpointsConfig": {"shop_default": {"Aliases": ["web"]}}},
    )
    eventually(lambda: bench.inspect(container)["State"]["Health"]["Status"] == "healthy")
    details = read_container_details(bench.inspect(container))
    configuration = details.configuration
    assert (details.name, details.state.word, details.health.status) == ("shown", "running", "healthy")
    assert {(one.name, one.value) for one in configuration.environment.shown} >= {("DB_PASSWORD", MASK), ("COLOR", "blue")}
    assert (configuration.limits.memory, configuration.limits.cpus) == (64 << 20, 0.5)
    [network] = configuration.networks.shown
    assert (network.name, network.aliases, len(network.addresses), len(network.mac)) == ("shop_default", ("web",), 1, 17)
    [port] = configuration.ports.shown
    assert (port.inside, port.published[0].rpartition(":")[0]) == ("80/tcp", "127.0.0.1")
    assert {(mount.kind, mount.target, mount.read_only) for mount in configuration.mounts.shown} == {
        ("volume", "/stuff", True),
        ("volume", "/data", False),
    }
    facts = {fact.name: fact.value for fact in configuration.facts}
    assert (facts["Working directory"], facts["Restart"], facts["Stop"]) == ("/srv", "on-failure, at most 3 times", "SIGTERM")


def test_networks_are_listed_with_id_and_name(bench: Bench) -> None:
    bench.add_network("shop_default")
    found = {network["Name"]: network["Id"] for network in bench.client.list_networks()}
    assert {"bridge", "host", "none", "shop_default"} <= set(found)
    assert all(found.values())


# Images


def find_entry(bench: Bench, image: str) -> Json:
    return next(entry for entry in bench.client.list_images() if entry["Id"] == image)


def test_an_image_that_lost_its_tag_has_placeholders_and_goes_by_its_id(bench: Bench) -> None:
    former = bench.add_image("windlass-test/moved:1", Labels={"build": "1"})
    bench.add_image("windlass-test/moved:1", Labels={"build": "2"})
    entry = find_entry(bench, former)
    assert (entry["RepoTags"], entry["RepoDigests"]) == (["<none>:<none>"], ["<none>@<none>"])
    assert {"Created", "Size", "SharedSize", "ParentId"} <= entry.keys()
    assert bench.client.remove_image(former)[-1] == {"Deleted": former}
    with raises(TargetMissing, "not_found"):
        bench.client.remove_image(former)


@pytest.mark.parametrize("start", [True, False])
def test_an_image_of_a_container_is_not_removed(bench: Bench, start: bool) -> None:
    image = bench.add_image("windlass-test/used:1", Cmd=SERVE, Labels={"build": "3"})
    bench.run("user", "windlass-test/used:1", start=start)
    with pytest.raises(EngineRefused, match=f"being used by {'running' if start else 'stopped'} container") as refused:
        bench.client.remove_image(image)
    assert refused.value.code == "conflict"
    assert find_entry(bench, image)["RepoTags"] == ["windlass-test/used:1"]


def test_an_image_with_several_tags_loses_them_one_by_one(bench: Bench) -> None:
    image = bench.add_image("windlass-test/many:1", Labels={"build": "4"})
    for other in ("windlass-test/many:2", "windlass-test/other:1"):
        bench.client.tag_image(image, other)
    with raises(EngineRefused, "conflict"):
        bench.client.remove_image(image)
    for other in ("windlass-test/many:2", "windlass-test/other:1"):
        assert bench.client.remove_image(other) == [{"Untagged": other}]
    assert bench.client.remove_image(image) == [{"Untagged": "windlass-test/many:1"}, {"Deleted": image}]


def test_disk_usage_counts_an_images_containers_and_its_shared_layers(bench: Bench) -> None:
    image = bench.add_image("windlass-test/measured:1", Cmd=SERVE, Labels={"build": "5"})
    bench.run("measured", "windlass-test/measured:1", HostConfig={"Binds": ["windlass-measured:/data"]})
    usage = bench.client.disk_usage()
    (entry,) = [entry for entry in usage["Images"] if entry["Id"] == image]
    assert entry["Containers"] == 1
    assert 0 <= entry["SharedSize"] <= entry["Size"]
    assert usage["LayersSize"] >= 0
    assert [one["State"] for one in usage["Containers"]] == ["running"]
    (volume,) = [volume for volume in usage["Volumes"] if volume["Name"] == "windlass-measured"]
    assert volume["UsageData"]["RefCount"] == 1


def test_events_between_two_moments_are_returned_at_once(bench: Bench) -> None:
    bench.add_image(Cmd=SERVE)
    clock = datetime.fromisoformat(bench.client.info()["SystemTime"][:26].rstrip("Z")).replace(tzinfo=UTC).timestamp()
    container = bench.run("eventful")
    bench.client.stop_container(container)

    def look() -> list[tuple[str, str, str]]:
        events = bench.client.list_events(clock - 1, time.time())
        found = [event for event in events if event["Actor"]["ID"] == container]
        return [(event["Type"], event["Action"], event["Actor"]["Attributes"]["name"]) for event in found]

    eventually(lambda: ("container", "die", "eventful") in look(), what="the container's end is reported")
    assert [action for _, action, _ in look() if action != "init"][:2] == ["create", "start"]  # Podman has an init between


# Logs


def read_log(bench: Bench, container: str, tail: int | None = None, since: int = 0) -> list[RawLine]:
    with bench.client.open_logs("containers", container, tail, since) as chunks:
        return list(read_log_lines(chunks))


def wait_for_lines(bench: Bench, container: str, count: int) -> list[RawLine]:
    def read_all() -> list[RawLine] | None:
        lines = read_log(bench, container)
        return lines if len(lines) == count else None

    return eventually(read_all, what=f"{count} lines were written")  # type: ignore[return-value]


@pytest.mark.parametrize("terminal", [False, True])
def test_a_log_has_its_lines_with_times_and_streams(bench: Bench, terminal: bool) -> None:
    bench.add_image()
    container = bench.run("talker", Tty=terminal, Cmd=["/bin/sh", "-c", "echo one; echo zwölf; echo three"])
    bench.write_log(container, "one", "zwölf", "three")
    lines = wait_for_lines(bench, container, 3)
    assert [line.text.rstrip("\r") for line in lines] == ["one", "zwölf", "three"]
    assert {line.stream for line in lines} == {"stdout"}
    moments = [line.moment for line in lines]
    assert moments == sorted(moments)
    assert read_log(bench, container, since=moments[1]) == lines[1:]  # inclusive, to the nanosecond
    assert read_log(bench, container, since=moments[1] + 1) == lines[moments.count(moments[1]) + 1 :]
    assert read_log(bench, container, tail=2) == lines[1:]
    assert read_log(bench, container, tail=1, since=moments[0]) == lines[2:]  # first the tail, then the time


def test_streams_are_kept_apart_and_a_long_line_comes_whole(bench: Bench) -> None:
    bench.add_image()
    script = 's=abcdefgh; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do s=$s$s; done; echo "$s" >&2'
    container = bench.run("talker", Cmd=["/bin/sh", "-c", script])
    bench.write_log(container, "abcdefgh" * 4096, stream="stderr")
    [line] = eventually(lambda: [line for line in read_log(bench, container) if line.pieces == 3], what="all of it was written")
    assert (line.stream, line.text, line.pieces) == ("stderr", ("abcdefgh" * 4096)[:10_000] + "…", 3)


def test_a_log_that_cannot_be_read_is_refused(bench: Bench) -> None:
    bench.add_image()
    container = bench.run("silent", HostConfig={"LogConfig": {"Type": "none"}})
    with raises(EngineRefused, "engine_refused"):
        read_log(bench, container)
    with raises(TargetMissing, "not_found"):
        read_log(bench, "missing")


# The files of containers


def test_files_that_are_written_are_listed_and_read_with_owner_and_mode(bench: Bench) -> None:
    bench.add_image()
    container = bench.run("web", start=False)
    assert bench.client.list_changes(container) == []
    files = [
        StoredFile("/etc/app.conf", "file", 0o640, (1000, 1001), content=b"colour = blue\n"),
        StoredFile("/etc/link", "link", 0o777, (0, 0), target="app.conf"),
    ]
    bench.client.write_files(container, files, 1_700_000_000)
    changes = {change["Path"]: change["Kind"] for change in bench.client.list_changes(container)}
    assert {path: kind for path, kind in changes.items() if path != "/etc"} == {"/etc/app.conf": 1, "/etc/link": 1}
    assert bench.client.stat_file(container, "/etc/app.conf") == FileStat("file", 14, "2023-11-14T22:13:20Z")
    assert bench.client.stat_file(container, "/etc/link").kind == "link"
    assert bench.client.stat_file(container, "/etc").kind == "folder"
    assert bench.client.stat_file(container, "/etc/missing") is None
    assert [bench.client.read_file(container, file.path, 100) for file in files] == files
    with raises(EngineRefused, "engine_refused"):
        bench.client.read_file(container, "/etc/app.conf", 10)
    with raises(TargetMissing, "not_found"):
        bench.client.read_file(container, "/etc/missing", 10)


@pytest.mark.parametrize(
    "ask",
    [
        lambda c: c.list_changes("missing"),
        lambda c: c.read_file("missing", "/etc/app.conf", 10),
        lambda c: c.write_files("missing", [], 0),
    ],
)
def test_files_of_a_missing_container_are_an_error(bench: Bench, ask: Callable[[Any], object]) -> None:
    with raises(TargetMissing, "not_found"):
        ask(bench.client)


def test_missing_paths_of_the_host_are_found_and_nothing_is_created(bench: Bench) -> None:
    bench.add_image()
    container = bench.run("web", start=False)
    image = bench.inspect(container)["Image"]
    bench.remove_path("/not-there")
    bench.remove_path("/nor-there/deep")
    paths = ["/etc", "/not-there", "/nor-there/deep"]
    assert bench.client.find_missing_paths("web", image, paths) == ("/not-there", "/nor-there/deep")
    assert bench.client.find_missing_paths("web", image, []) == ()
    assert [entry["Id"] for entry in bench.client.list_containers()] == [container]

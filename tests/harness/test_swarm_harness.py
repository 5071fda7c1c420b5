"""The harness's Swarms: what every test of stacks and services stands on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import docker
import pytest
import requests

from tests.harness import engine as engine_harness
from tests.harness.engine import EngineMissing, PrivateEngine, numbers_held, remove_dead_engines
from tests.harness.eventually import eventually
from tests.harness.images import BASE
from tests.harness.registry import LOGIN
from tests.harness.swarm import PrivateSwarm, require_swarm_programs, run_swarm

START_AND_WAIT = """
import sys
from tests.harness.swarm import run_swarm
with run_swarm(2) as swarm:
    swarm.create_service("lasting", swarm.publish("lasting"), "--replicas=4", "--network=host")
    swarm.wait_for_tasks("lasting", 4)
    print(swarm.claim.number, flush=True)
    sys.stdin.read()
"""


def nodes_of(tasks: list[dict]) -> set[str]:
    return {task["NodeID"] for task in tasks}


def test_single_node_runs_a_service_from_its_registry(swarm: PrivateSwarm) -> None:
    reference = swarm.publish("shop", Env=["VERSION=1"])
    swarm.create_service("web", reference, "--replicas=2")
    tasks = swarm.wait_for_tasks("web", 2)
    digest = swarm.registry.read_digest("shop", "1")
    assert {task["Spec"]["ContainerSpec"]["Image"] for task in tasks} == {f"{reference}@{digest}"}
    assert [row["Node"] for row in swarm.service_ps("web")] == ["node1", "node1"]


def test_stack_is_deployed_and_its_services_find_one_another(swarm: PrivateSwarm) -> None:
    command = ["/bin/sh", "-c", "until wget -O /tmp/x http://web/busybox; do sleep 0.1; done; exec sleep 1000"]
    web = {"image": BASE, "command": ["httpd", "-f", "-h", "/bin"], "deploy": {"endpoint_mode": "dnsrr"}}
    health = {"test": ["CMD", "cat", "/tmp/x"], "interval": "200ms", "retries": 100}
    visitor = {"image": BASE, "command": command, "healthcheck": health}
    swarm.deploy_stack("shop", {"services": {"web": web, "visitor": visitor}}, "--resolve-image=never")
    swarm.wait_for_tasks("shop_visitor", 1)  # running means healthy


def test_next_test_finds_the_swarm_empty(swarm: PrivateSwarm) -> None:
    with swarm.connect() as api:
        swarm.deploy_stack(
            "shop", {"services": {"web": {"image": BASE, "command": ["sleep", "1000"]}}}, "--resolve-image=never"
        )
        api.create_volume("data")
        api.create_secret("password", b"open sesame")
        api.create_config("settings", b"{}")
        api.start(api.create_container(BASE, ["sleep", "1000"], name="lone")["Id"])
        swarm.wait_for_tasks("shop_web", 1)
        swarm.reset()
        assert (api.services(), api.secrets(), api.configs(), api.containers(all=True)) == ([], [], [], [])
        # What a removed job has done, Swarm never forgets.
        assert {task["Status"]["State"] for task in api.tasks()} <= {"complete", "failed"}
        assert {n["Name"] for n in api.networks()} == {"bridge", "host", "none", "ingress", "docker_gwbridge"}
        assert not api.volumes()["Volumes"]


def test_published_tag_moves_and_no_node_has_the_image(swarm: PrivateSwarm) -> None:
    reference = swarm.publish("shop")
    first = swarm.registry.read_digest("shop", "1")
    assert swarm.publish("shop") == reference
    assert swarm.registry.read_digest("shop", "1") != first
    with swarm.connect() as api, pytest.raises(docker.errors.ImageNotFound):
        api.inspect_image(reference)


def test_private_registry_gives_its_images_only_with_the_login(swarm: PrivateSwarm) -> None:
    private = swarm.run_registry(**LOGIN)
    reference = swarm.publish("secret", registry=private)
    with swarm.connect() as api:
        with pytest.raises(docker.errors.APIError, match="basic auth"):
            api.pull(reference)
        swarm.log_in(private)
        swarm.create_service("web", reference, "--with-registry-auth")
        swarm.wait_for_tasks("web", 1)


def test_three_nodes_share_the_tasks_and_can_be_reached(three_nodes: PrivateSwarm) -> None:
    command = ("httpd", "-f", "-h", "/bin")
    publish = "--publish=mode=host,target=80,published=8080"
    three_nodes.create_service("web", three_nodes.publish("web"), "--replicas=3", publish, command=command)
    tasks = three_nodes.wait_for_tasks("web", 3)
    assert nodes_of(tasks) == {node.node_id for node in three_nodes.nodes}
    for node in three_nodes.nodes:
        assert requests.get(f"http://{node.address}:8080/busybox", timeout=5).status_code == 200
    for node in three_nodes.nodes:
        with docker.APIClient(base_url=node.tcp_url, version="auto", timeout=5) as api:
            assert api.info()["Name"] == node.name


def test_tasks_of_a_killed_worker_move_and_it_comes_back_as_the_same_node(three_nodes: PrivateSwarm) -> None:
    lost = three_nodes.nodes[2]
    three_nodes.create_service("web", three_nodes.publish("web"), "--replicas=3", "--restart-delay=0s")
    three_nodes.wait_for_tasks("web", 3)
    lost.kill()
    assert not lost.is_running
    three_nodes.wait_for_node(lost, "down")
    assert lost.node_id not in nodes_of(three_nodes.wait_for_tasks("web", 3))
    lost.start()
    with three_nodes.connect() as api:
        assert sorted(node["Description"]["Hostname"] for node in api.nodes()) == ["node1", "node2", "node3"]


def test_cut_node_goes_down_keeps_its_tasks_and_comes_back(three_nodes: PrivateSwarm) -> None:
    cut = three_nodes.nodes[1]
    three_nodes.create_service("web", three_nodes.publish("web"), "--mode=global")
    three_nodes.wait_for_tasks("web", 3)
    cut.cut_network()
    three_nodes.wait_for_node(cut, "down")
    with cut.connect() as api:
        assert len(api.containers()) == 1
    with pytest.raises(docker.errors.DockerException):
        docker.APIClient(base_url=cut.tcp_url, version="auto", timeout=1)
    cut.restore_network()
    three_nodes.wait_for_node(cut, "ready")


def test_next_test_finds_lost_nodes_back_and_added_ones_gone(three_nodes: PrivateSwarm) -> None:
    three_nodes.nodes[1].kill()
    three_nodes.nodes[2].cut_network()
    added = three_nodes.add_node(manager=True)
    with three_nodes.connect() as api:
        found = api.inspect_node(three_nodes.manager.node_id)
        spec = {"Availability": "drain", "Role": "manager", "Labels": {"tier": "web"}}
        api.update_node(found["ID"], found["Version"]["Index"], spec)
        three_nodes.reset()
        assert not added.is_running
        nodes = {
            node["Description"]["Hostname"]: (node["Status"]["State"], node["Spec"]["Availability"]) for node in api.nodes()
        }
        assert nodes == dict.fromkeys(["node1", "node2", "node3"], ("ready", "active"))
        assert api.inspect_node(three_nodes.manager.node_id)["Spec"]["Labels"] == {}


def test_three_managers_stay_a_swarm_when_one_is_lost() -> None:
    with run_swarm(3, managers=3) as swarm:
        lost = swarm.managers[2]
        lost.kill()
        swarm.create_service("web", swarm.publish("web"), "--replicas=2")
        swarm.wait_for_node(lost, "down")
        swarm.wait_for_tasks("web", 2)


def test_swarm_leaves_nothing_on_the_machine() -> None:
    links = list_links()
    with run_swarm(2) as swarm:
        swarm.create_service("web", swarm.publish("web"), "--replicas=2")
        swarm.wait_for_tasks("web", 2)
        processes = find_processes_of(swarm.claim)
        assert len(processes) > 6  # an engine, its containerd and a shim on each node
        assert swarm.claim.bridge not in list_rules()
    assert_nothing_is_left(swarm.claim)
    assert swarm.claim.bridge not in list_links() - links
    assert not [pid for pid in processes if Path(f"/proc/{pid}").exists()]


def test_failing_start_leaves_nothing_on_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    claimed = []

    def fail(swarm: PrivateSwarm) -> None:
        claimed.append(swarm.claim)
        raise AssertionError("no")

    monkeypatch.setattr(PrivateSwarm, "_init", fail)
    with pytest.raises(AssertionError, match="no"), run_swarm():
        pass
    assert_nothing_is_left(claimed[0])


def test_swarm_of_a_killed_session_is_removed_by_the_next_one() -> None:
    session = subprocess.Popen([sys.executable, "-c", START_AND_WAIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert session.stdout
    dead = PrivateEngine(int(session.stdout.readline()))
    session.send_signal(signal.SIGKILL)
    session.wait()
    eventually(lambda: not find_processes_of(dead), what="the killed session's nodes have ended")
    eventually(lambda: dead.bridge not in list_links(), what="the kernel has removed the links")
    with numbers_held():
        remove_dead_engines()
        if not (dead.folder.exists() and engine_harness.owner_is_alive(dead.folder)):  # else another session has it
            assert_nothing_is_left(dead)


def test_two_swarms_and_an_engine_do_not_meet(swarm: PrivateSwarm, api: docker.APIClient) -> None:
    with run_swarm() as other:
        for each in (swarm, other):
            each.create_service("web", each.publish("web"), "--publish=mode=host,target=80,published=8080")
        for each in (swarm, other):
            each.wait_for_tasks("web", 1)
        assert api.containers() == []
    assert len(swarm.running_tasks("web")) == 1


def test_missing_program_is_told_in_one_sentence_that_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_harness, "find_program", lambda *names: None if "nsenter" in names else "/bin/true")
    with pytest.raises(EngineMissing, match=r"a Docker Swarm, and nsenter is not installed: `apt-get install .*util-linux"):
        require_swarm_programs()


def assert_nothing_is_left(claim: PrivateEngine) -> None:
    assert find_processes_of(claim) == []
    assert claim.bridge not in list_links()
    assert claim.bridge not in list_rules()
    # os.walk passes over groups of other engines that end while it looks.
    assert [folder for folder, _, _ in os.walk("/sys/fs/cgroup") if Path(folder).name == claim.bridge] == []
    assert not claim.folder.exists()
    assert f"{claim.folder}/" not in Path("/proc/mounts").read_text()


def find_processes_of(claim: PrivateEngine) -> list[int]:
    """By what they were called with and by their cgroup."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            in_cgroup = f"/{claim.bridge}/" in (entry.parent / "cgroup").read_text()
            if in_cgroup or f"{claim.folder}/".encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def list_links() -> set[str]:
    return {path.name for path in Path("/sys/class/net").iterdir()}


def list_rules() -> str:
    return subprocess.check_output([engine_harness.find_program("iptables") or "iptables", "-w", "-S"], text=True)

"""The harness itself: what every other test here stands on."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import docker
import pytest

from tests.harness import engine as engine_harness
from tests.harness.compose import ComposeProject
from tests.harness.engine import EngineMissing, PrivateEngine, numbers_held, remove_dead_engines, require_engine_programs
from tests.harness.eventually import eventually
from tests.harness.images import BASE, HEALTHY, make_image
from tests.harness.registry import PrivateRegistry

START_AND_WAIT = """
import sys
from tests.harness.engine import run_engine
from tests.harness.images import BASE, create_base_image
with run_engine() as engine, engine.connect() as api:
    create_base_image(api)
    api.create_network("front")
    api.start(api.create_container(BASE, ["sleep", "1000"], name="lasting")["Id"])
    print(engine.number, flush=True)
    sys.stdin.read()
"""


def test_containers_of_the_engine_run_and_reach_one_another(api: docker.APIClient) -> None:
    api.create_network("front")
    networking = api.create_networking_config({"front": api.create_endpoint_config(aliases=["shop"])})
    server = api.create_container(BASE, ["httpd", "-f", "-h", "/bin"], networking_config=networking, name="server")
    api.start(server["Id"])
    networking = api.create_networking_config({"front": api.create_endpoint_config()})
    client = api.create_container(BASE, ["wget", "-O", "/tmp/x", "http://shop/busybox"], networking_config=networking)
    api.start(client["Id"])
    assert api.wait(client["Id"], timeout=20)["StatusCode"] == 0


def test_image_carries_the_metadata_it_was_made_with(api: docker.APIClient) -> None:
    image = make_image(
        api,
        "windlass-test/meta:1",
        Env=["COLOR=red"],
        Healthcheck=HEALTHY,
        Labels={"tier": "web"},
        Volumes={"/data": {}},
        StopSignal="SIGINT",
    )
    config = api.inspect_image("windlass-test/meta:1")["Config"]
    assert api.inspect_image("windlass-test/meta:1")["Id"] == image
    assert (config["Env"], config["Healthcheck"], config["Labels"]) == (["COLOR=red"], HEALTHY, {"tier": "web"})
    assert (config["Volumes"], config["StopSignal"]) == ({"/data": {}}, "SIGINT")


def test_pushed_image_can_be_pulled_while_the_local_tag_stays(api: docker.APIClient, registry: PrivateRegistry) -> None:
    old = make_image(api, f"{registry.host}/shop:1", Env=["VERSION=1"])
    new = make_image(api, "windlass-test/shop:2", Env=["VERSION=2"])
    reference = registry.push(api, "shop", new, "1")
    assert api.inspect_image(reference)["Id"] == old
    api.pull(reference)
    assert api.inspect_image(reference)["Id"] == new


def test_registry_keeps_what_was_pushed_over_a_stop(api: docker.APIClient, registry: PrivateRegistry) -> None:
    registry.push(api, "kept", BASE)
    digest = registry.read_digest("kept", "latest")
    registry.stop()
    registry.start()
    assert registry.read_digest("kept", "latest") == digest


def test_compose_starts_a_project_on_the_engine(engine: PrivateEngine, api: docker.APIClient, tmp_path: Path) -> None:
    make_image(api, "windlass-test/compose:1")
    project = ComposeProject(engine, tmp_path, "shop", {"web": {"image": "windlass-test/compose:1"}})
    project.up("--scale", "web=2")
    assert project.list_ids("web") == sorted(c["Id"] for c in api.containers())
    assert len(api.containers()) == 2


def test_each_test_finds_the_engine_empty(api: docker.APIClient) -> None:
    assert api.containers(all=True) == []
    assert {network["Name"] for network in api.networks()} == {"bridge", "host", "none"}
    assert not api.volumes()["Volumes"]


def test_killed_session_leaves_no_process_and_the_next_one_removes_the_rest() -> None:
    session = subprocess.Popen([sys.executable, "-c", START_AND_WAIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert session.stdout
    dead = PrivateEngine(int(session.stdout.readline()))
    session.send_signal(signal.SIGKILL)
    session.wait()
    eventually(lambda: not find_processes_of(dead), what="the killed session's engine has ended")
    with numbers_held():
        remove_dead_engines()
        if not (dead.folder.exists() and engine_harness.owner_is_alive(dead.folder)):  # else another session has it
            assert not dead.folder.exists()
            assert engine_harness.find_links(dead) == []
            assert dead.bridge not in subprocess.check_output([engine_harness.find_program("iptables"), "-w", "-S"], text=True)
            assert not list(Path("/sys/fs/cgroup").glob(f"*/{dead.bridge}"))


def find_processes_of(engine: PrivateEngine) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"{engine.folder}/".encode() in entry.read_bytes() or in_cgroup(int(entry.parent.name), engine.bridge):
                found.append(int(entry.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def in_cgroup(pid: int, name: str) -> bool:
    return f"/{name}/" in Path(f"/proc/{pid}/cgroup").read_text()


def test_table_of_edge_cases_names_tests_that_exist() -> None:
    folder = Path(__file__).parent.parent
    table = (folder / "README.md").read_text()
    named = set(re.findall(r"`(test_\w+\.py)?(?:::Test\w+)?(?:::(test_\w+))?", table)) - {("", "")}
    folders = [folder, *(folder.parent / app for app in ("clusters", "console", "triggers"))]
    files = [file for each in folders for file in each.rglob("test_*.py")]
    functions = {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text())}
    assert len(named) > 60
    assert {function for _, function in named if function} <= functions
    assert {file for file, _ in named if file} <= {file.name for file in files}


def test_missing_engine_is_told_in_one_sentence_that_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_harness, "find_program", lambda *names: None if "dockerd" in names else "/bin/true")
    with pytest.raises(EngineMissing, match=r"dockerd is not installed: `apt-get install docker\.io .*` installs"):
        require_engine_programs()


def test_engine_needs_root_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(EngineMissing, match="run them as root"):
        require_engine_programs()

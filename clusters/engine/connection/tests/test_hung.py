"""Every request ends, even where the engine accepts the connection and never answers, or never completes its answer."""

import inspect
import os
import socket
import threading
import time
from contextlib import suppress

import pytest
import requests

from clusters.engine.connection import event_stream, file_requests, image_requests, system_requests
from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.connection.event_stream import EventStream
from clusters.engine.errors import EngineError

HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
BEGUN = HEADERS + b'16\r\n{"status":"Pulling"}\r\n\r\n'
ANSWER_SECONDS = 0.2
SPEC = {"TaskTemplate": {"ContainerSpec": {"Image": "app:1"}}}

# The arguments to call each method with. NO_REQUESTS are the methods that send nothing themselves.
NO_REQUESTS = {"close", "sibling", "patience", "api_version", "libpod_version", "check_credentials", "loners"}
ARGUMENTS = {
    **dict.fromkeys(("version", "info", "list_containers", "list_networks", "list_images", "disk_usage"), ()),
    **dict.fromkeys(("list_services", "list_tasks", "list_nodes", "list_configs", "list_secrets"), ()),
    **dict.fromkeys(("inspect_container", "list_changes", "inspect_image", "inspect_service", "container_stats"), ("x",)),
    **dict.fromkeys(("remove_service", "remove_config", "remove_secret", "remove_network", "remove_volume"), ("x",)),
    **dict.fromkeys(("start_container", "kill_container", "remove_container", "remove_image", "resolve_digest"), ("x",)),
    **dict.fromkeys(("stop_container", "restart_container"), ("x", 0)),
    "pull_image": ("x",),
    "list_events": (0.0, 1.0),
    "stat_file": ("x", "/etc/x"),
    "read_file": ("x", "/etc/x", 10),
    "write_files": ("x", [], 0),
    "find_missing_paths": ("x", "app:1", ["/srv"]),
    "open_logs": ("containers", "x", 10),
    "create_container": ("x", {"Image": "app:1"}),
    "rename_container": ("x", "y"),
    "tag_image": ("x", "y:1"),
    "connect_network": ("x", "y", {}),
    "disconnect_network": ("x", "y"),
    "update_restart_policy": ("x", {"Name": "no"}),
    "create_service": (SPEC,),
    "update_service": ("x", 1, SPEC),
    "roll_back_service": ("x", 1, SPEC),
}


class HungEngine:
    """Sends `answer` on each connection, and then nothing more."""

    def __init__(self, answer: bytes) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._answer, self._held = answer, []
        self.lines = answer.count(b"status")
        self.endpoint = EngineEndpoint(f"tcp://127.0.0.1:{self._server.getsockname()[1]}")
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._server.accept()
            self._held.append(connection)
            if connection.recv(1) == b"":
                return
            connection.sendall(self._answer)

    def close(self) -> None:
        socket.create_connection(self._server.getsockname()).close()
        self._thread.join()
        for held in (*self._held, self._server):
            held.close()


@pytest.fixture(scope="module", params=[b"", BEGUN], ids=["silent", "stalled"])
def hung(request):
    engine = HungEngine(request.param)
    yield engine
    engine.close()


@pytest.fixture
def client(hung, monkeypatch):
    monkeypatch.setattr(image_requests, "PULL_SILENCE", ANSWER_SECONDS)
    monkeypatch.setattr(image_requests, "REGISTRY_PATIENCE", ANSWER_SECONDS)
    monkeypatch.setattr(file_requests, "CHANGES_PATIENCE", ANSWER_SECONDS)
    monkeypatch.setattr(system_requests, "INFO_PATIENCE", ANSWER_SECONDS)
    with EngineClient(hung.endpoint, timeout=ANSWER_SECONDS, version="1.41") as client:
        yield client


def make_ssh(folder, monkeypatch, dial):
    """Install an ssh command that connects. It runs the shell command `dial` instead of `docker system dial-stdio`."""
    ssh = folder / "ssh"
    ssh.write_text(f'#!/bin/sh\ncase "$*" in\n*dial-stdio) {dial};;\n*) echo 20.10;;\nesac\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_an_engine_that_hangs_behind_ssh_is_given_up(tmp_path, monkeypatch):
    make_ssh(tmp_path, monkeypatch, "exec sleep 3600")
    with pytest.raises(EngineError, match=r"^The engine at build did not answer in time\.$"):
        EngineClient(EngineEndpoint("ssh://me@build"), timeout=ANSWER_SECONDS)


def test_an_engine_behind_ssh_answers(tmp_path, monkeypatch):
    answer = r'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 22\r\n\r\n{"ApiVersion": "1.41"}'
    make_ssh(tmp_path, monkeypatch, f"read line; printf '{answer}'")
    with EngineClient(EngineEndpoint("ssh://me@build"), timeout=20) as client:
        assert client.api_version == (1, 41)


def test_every_request_is_here():
    public = {name for name, _ in inspect.getmembers(EngineClient) if not name.startswith("_")}
    assert public == NO_REQUESTS | ARGUMENTS.keys()


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_a_request_ends(client, hung, name):
    """A method that needs no complete answer can succeed where one has begun."""
    begun = time.monotonic()
    try:
        if name == "open_logs":
            with client.open_logs(*ARGUMENTS[name]) as chunks:
                list(chunks)
        else:
            getattr(client, name)(*ARGUMENTS[name])
    except EngineError:
        pass
    assert time.monotonic() - begun < 20


def test_connecting_ends(hung):
    with pytest.raises(EngineError):
        EngineClient(hung.endpoint, timeout=ANSWER_SECONDS)


def test_waiting_for_events_ends(client, hung, monkeypatch):
    monkeypatch.setattr(event_stream, "ANSWER_SECONDS", ANSWER_SECONDS)
    begun = time.monotonic()
    with suppress(EngineError), EventStream(client, time.time(), time.time(), {}) as stream:
        stream.wait_for_event()
    assert time.monotonic() - begun < 20


def test_a_pull_that_stalls_in_the_middle_is_a_failed_pull(client, hung):
    progress = []
    with pytest.raises(EngineError, match=r"^app:1 could not be pulled: the engine reported no progress for ") as caught:
        client.pull_image("app:1", on_progress=lambda: progress.append(None))
    assert (caught.value.code, len(progress)) == ("pull_failed", hung.lines)


def test_a_silent_engine_is_reported_as_unreachable_and_nothing_else(client, hung):
    with pytest.raises(EngineError) as caught:
        client.list_containers()
    assert caught.value.code == "engine_unreachable"
    assert not isinstance(caught.value, requests.RequestException)

"""Requests about containers that differ on Podman. tests/integration/test_engine_contract.py has those of both engines."""

from types import SimpleNamespace

import pytest

from clusters.engine.connection import container_requests
from clusters.engine.connection.container_requests import ContainerRequests
from clusters.engine.errors import EngineRefused
from clusters.engine.inspection.resource_usage import read_resource_usage

ERROR = '{"cause":"nil","message":"runtime error: invalid memory address or nil pointer dereference","response":500}'


class Session:
    """Answers each GET with the next of `bodies`, and keeps what was posted."""

    base_url = "http+docker://localhost"

    def __init__(self, *bodies, running=True, libpod=None):
        self.bodies, self.running, self.libpod, self.posted = list(bodies), running, libpod, []

    def _url(self, path, *names):
        return path.format(*names)

    def _get(self, url, params=None):
        if "/libpod/" in url:
            return SimpleNamespace(ok=self.libpod is not None, json=lambda: self.libpod)
        return SimpleNamespace(text=self.bodies.pop(0))

    def _post(self, url, params, timeout):
        self.posted.append((url, params, timeout))

    def _raise_for_status(self, answer):
        pass

    def inspect_container(self, container):
        return {"State": {"Running": self.running}}

    def containers(self, **options):
        return [{"Id": "a", "Names": ["/web"], "State": "running", "Status": "Up"}]


def connect(session, libpod_version="4.3.1"):
    client = ContainerRequests()
    client.api, client.address, client.timeout, client.libpod_version = session, "unix:///podman.sock", 30, libpod_version
    return client


def sample(used):
    cpu = f'{{"cpu_usage": {{"total_usage": {used}}}, "system_cpu_usage": {used * 10}, "online_cpus": 1}}'
    return f'{{"read": "2026-11-30T15:22:24.630299448Z", "cpu_stats": {cpu}, "precpu_stats": {{}}}}'


@pytest.mark.parametrize("body", ["", ERROR])
def test_figures_that_podman_cannot_give_are_unknown_and_not_those_of_a_stopped_container(body):
    with pytest.raises(EngineRefused, match="no figures for this container"):
        connect(Session(body)).container_stats("web")


def test_a_stopped_container_has_no_figures():
    assert read_resource_usage(connect(Session("", running=False)).container_stats("web")) is None


def test_two_samples_are_taken_where_somebody_waits_for_them(monkeypatch):
    monkeypatch.setattr(container_requests, "SAMPLE_SECONDS", 0)
    use = read_resource_usage(connect(Session(sample(10), sample(20))).container_stats("web", wait=True))
    assert use is not None
    assert use.cpu_percent == 10


@pytest.mark.parametrize(("version", "grace", "query"), [("4.3.1", None, {"t": 10}), ("4.3.1", 3.0, {"t": 3}), ("", 3.0, {})])
def test_podman_is_given_the_time_that_a_stop_has(version, grace, query):
    session = Session()
    connect(session, version).stop_container("web", grace)
    [(url, params, timeout)] = session.posted
    assert (url, params, timeout) == ("/containers/web/stop", query, 30 + (10 if grace is None else grace))


@pytest.mark.parametrize(("libpod", "is_infra"), [(None, False), ([{"Id": "a", "IsInfra": True}], True)])
def test_the_list_needs_no_answer_of_podmans_own_api(libpod, is_infra):
    """A proxy of the socket can refuse it."""
    [entry] = connect(Session(libpod=libpod)).list_containers()
    assert entry["Podman"]["IsInfra"] is is_infra

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.engine.standalone.rules import (
    choose_order,
    find_exclusive,
    find_fixed_ports,
    read_monitor,
    read_parallelism,
    read_pull_policy,
)
from clusters.engine.tests.recording import load, load_container, observed_container


def web(**changes):
    return observed_container(load_container("hello_web_1", **changes))


def test_a_container_without_exclusive_resources_is_started_first():
    assert choose_order(web())[0] == "start-first"


def test_a_label_can_choose_the_other_order():
    assert choose_order(web(labels={"windlass.update.order": "stop-first"}))[0] == "stop-first"


@pytest.mark.parametrize("mode", ["host", "container:abc"])
def test_a_shared_network_stack_is_exclusive_unless_a_label_says_otherwise(mode):
    assert choose_order(web(NetworkMode=mode))[0] == "stop-first"
    assert choose_order(web(NetworkMode=mode, labels={"windlass.update.order": "start-first"}))[0] == "start-first"


def test_a_writable_mount_is_exclusive_and_a_read_only_one_is_not():
    details = load("hello_web_1")
    details["Mounts"] = [{"Type": "volume", "Destination": "/data", "RW": True}]
    assert find_exclusive(observed_container(details)).code == "writable_mount"
    details["Mounts"][0]["RW"] = False
    assert find_exclusive(observed_container(details)) is None


@pytest.mark.parametrize(
    "changes", [{"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}, {"labels": {}, "static": True}], ids=["port", "address"]
)
def test_a_fixed_port_or_address_is_never_started_first(changes):
    static = changes.pop("static", False)
    details = load_container("hello_web_1", **changes)
    details["Config"]["Labels"]["windlass.update.order"] = "start-first"
    if static:
        details["NetworkSettings"]["Networks"]["hello_default"]["IPAMConfig"] = {"IPv4Address": "10.1.2.3"}
    assert choose_order(observed_container(details))[0] == "stop-first"


@pytest.mark.parametrize("port", ["", "0", "8000-8010"])
def test_a_port_that_the_engine_can_choose_is_not_fixed(port):
    assert find_fixed_ports(web(PortBindings={"80/tcp": [{"HostPort": port}], "81/tcp": None})) == []


@pytest.mark.parametrize("text", ["", "s", "abc", "-5s", "5 s", "1s1m", "٥", "9" * 40])
def test_an_invalid_duration_leaves_the_default(text):
    assert read_monitor(web(labels={"windlass.update.monitor": text})) == 5


@given(text=st.text())
def test_no_label_breaks_a_plan(text):
    container = web(labels={f"windlass.update.{key}": text for key in ("order", "monitor", "parallelism", "pull")})
    assert 0 <= read_monitor(container) <= 3600
    assert 1 <= read_parallelism(container) <= 100
    assert read_pull_policy(container) in {"", "always", "missing", "never"}
    assert choose_order(container)

"""What the console lives by is recognised, and nothing else is."""

import pytest

from clusters.engine import lifelines
from clusters.engine.lifelines import DOOR, Lifeline, find_purpose, read_inspected_exposure, read_listed_exposure

OWN = "c" * 64
DATABASE = Lifeline("postgres", 5432, "the console's database runs in it")
LOCAL_BROKER = Lifeline("127.0.0.1", 6379, "the console's broker runs in it")


@pytest.fixture(autouse=True)
def needs(monkeypatch):
    monkeypatch.setattr(lifelines.needs, "lifelines", (DATABASE, LOCAL_BROKER))


@pytest.fixture
def in_a_container(monkeypatch):
    monkeypatch.setattr(lifelines, "find_own_container_id", lambda: OWN)


def make(name="web", address="172.17.0.2", ports=(), service="", aliases=()):
    """Return a container as the engine lists it, and as it inspects it. `ports` are pairs of an address and a port."""
    labels = {"com.docker.compose.service": service} if service else {}
    network = {"bridge": {"IPAddress": address, "GlobalIPv6Address": "", "Aliases": list(aliases)}}
    listed = {
        "Id": "a" * 64,
        "Names": [f"/{name}"],
        "Labels": labels,
        "Ports": [{"IP": ip, "PrivatePort": 1, "PublicPort": port, "Type": "tcp"} for ip, port in ports],
        "NetworkSettings": {"Networks": network},
    }
    inspected = {
        "Name": f"/{name}",
        "Config": {"Labels": labels},
        "HostConfig": {"PortBindings": {"1/tcp": [{"HostIp": ip, "HostPort": str(port)} for ip, port in ports]}},
        "NetworkSettings": {"Networks": network},
    }
    return read_listed_exposure(listed), read_inspected_exposure(inspected)


def purposes(container, address, ids=("a" * 64,)):
    return {find_purpose(exposure, address, ids) for exposure in container}


@pytest.mark.parametrize(
    ("address", "published"),
    [
        ("tcp://127.0.0.1:2375", ("127.0.0.1", 2375)),
        ("tcp://127.0.0.1:2375", ("0.0.0.0", 2375)),
        ("tcp://localhost:2375", ("::", 2375)),
        ("tcp://[::1]:2375", ("", 2375)),
        ("tcp://10.0.0.5:2376", ("0.0.0.0", 2376)),
        ("tcp://10.0.0.5:2376", ("10.0.0.5", 2376)),
        ("tcp://docker.example.com:2376", ("10.0.0.5", 2376)),
        ("tcp://docker.example.com", ("0.0.0.0", 2375)),
        ("ssh://root@10.0.0.5", ("0.0.0.0", 22)),
        ("ssh://root@10.0.0.5:2222", ("0.0.0.0", 2222)),
    ],
)
def test_the_door_is_known_by_its_published_port(address, published):
    assert purposes(make(ports=[published]), address) == {DOOR}


@pytest.mark.parametrize(
    ("address", "published"),
    [
        ("tcp://127.0.0.1:2375", ("127.0.0.1", 2376)),
        ("tcp://127.0.0.1:2375", ("10.0.0.5", 2375)),
        ("tcp://10.0.0.5:2376", ("10.0.0.6", 2376)),
        ("tcp://10.0.0.5:2376", ("127.0.0.1", 2376)),
        ("tcp://docker.example.com:2376", ("127.0.0.1", 2376)),
        ("unix:///var/run/docker.sock", ("0.0.0.0", 2375)),
        ("nonsense://[", ("0.0.0.0", 2375)),
    ],
)
def test_another_port_or_address_is_no_door(address, published):
    assert purposes(make(ports=[published]), address) == {""}


def test_the_door_is_known_by_its_own_address():
    assert purposes(make(address="172.18.0.9"), "tcp://172.18.0.9:2375") == {DOOR}


@pytest.mark.parametrize("known_by", [{"name": "proxy"}, {"service": "proxy"}], ids=str)
def test_the_door_is_known_by_its_name_to_a_console_beside_it(in_a_container, known_by):
    door = make(**known_by)
    assert purposes(door, "tcp://proxy:2375", ids=("a" * 64, OWN)) == {DOOR}
    assert purposes(door, "tcp://proxy:2375") == {""}  # the console runs elsewhere: a name there means something else


def test_an_alias_counts_where_the_engine_reports_it(in_a_container):
    _, inspected = make(aliases=["proxy"])
    assert find_purpose(inspected, "tcp://proxy:2375", ["a" * 64, OWN]) == DOOR


def test_database_and_broker_are_known_on_the_consoles_own_engine(in_a_container):
    beside = ("a" * 64, OWN)
    assert purposes(make(service="postgres"), "unix:///var/run/docker.sock", beside) == {DATABASE.purpose}
    assert purposes(make(ports=[("0.0.0.0", 6379)]), "unix:///var/run/docker.sock") == {LOCAL_BROKER.purpose}
    assert purposes(make(ports=[("0.0.0.0", 6379)]), "tcp://10.0.0.5:2376") == {""}  # another host's
    assert purposes(make(service="postgres"), "tcp://10.0.0.5:2376") == {""}


def test_an_application_that_publishes_nothing_of_it_is_free():
    assert purposes(make(ports=[("0.0.0.0", 80), ("0.0.0.0", 5432)]), "unix:///var/run/docker.sock") == {""}

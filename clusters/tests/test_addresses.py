"""The spelling of addresses, and which sockets of this host they may name."""

import socket

import pytest

from clusters.addresses import accept_address, accept_addresses, is_allowed_address, list_offered_sockets
from clusters.engine.errors import EngineError


@pytest.fixture
def place(tmp_path, settings):
    """A folder with an allowed socket `docker.sock` and another one."""
    settings.ENGINE_SOCKETS = [f"{tmp_path}/docker.sock", f"{tmp_path}/users/*/docker.sock"]
    for name in ("docker.sock", "other.sock", "users/ann/docker.sock", "users/ann/other.sock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(tmp_path / name))
    return tmp_path


@pytest.mark.parametrize(
    "spelling",
    [
        "unix://{}/docker.sock",
        "UNIX://{}/docker.sock",
        "unix:{}/docker.sock",
        "unix://{}//docker.sock",
        "unix:///{}/docker.sock/",
        "unix://{}/./docker.sock",
        "unix://{}/users/../docker.sock",
        "unix://{}/docker.sock?x=1#y",
        "unix://{}/docker.so\nck",
    ],
)
def test_each_spelling_of_an_allowed_socket_becomes_one(place, spelling):
    assert accept_address(spelling.format(place)) == f"unix://{place}/docker.sock"


@pytest.mark.parametrize(
    "path",
    [
        "other.sock",
        "users/ann/other.sock",
        "users/docker.sock",
        "users/ann/more/docker.sock",
        "users/../other.sock",
        "docker.sock/../other.sock",
        "docker.sock2",
        "DOCKER.SOCK",
        "",
    ],
)
def test_any_other_socket_is_refused_with_the_name_of_the_setting(place, path):
    for scheme in ("unix://", "UNIX://", "unix:", "unix:///"):
        with pytest.raises(EngineError, match="The setting WINDLASS_ENGINE_SOCKETS lists those that it may use") as caught:
            accept_address(f"{scheme}{place}/{path}")
        assert caught.value.code == "bad_address"
    assert not is_allowed_address(f"unix://{place}/{path}")


def test_a_link_leads_nowhere_else(place):
    (place / "users" / "eve").mkdir()
    (place / "users" / "eve" / "docker.sock").symlink_to(place / "other.sock")
    (place / "users" / "bob").symlink_to(place / "users" / "eve")
    for path in ("users/eve/docker.sock", "users/bob/docker.sock"):
        with pytest.raises(EngineError):
            accept_address(f"unix://{place}/{path}")


def test_a_link_to_an_allowed_socket_is_stored_as_what_it_leads_to(place):
    """Whoever can change the link later does not change the engine."""
    (place / "link.sock").symlink_to(place / "docker.sock")
    assert accept_address(f"unix://{place}/link.sock") == f"unix://{place}/docker.sock"


def test_a_link_that_the_environment_names_keeps_its_name(place, settings):
    (place / "named.sock").symlink_to(place / "other.sock")
    settings.ENGINE_SOCKETS = [f"{place}//named.sock"]
    assert accept_address(f"unix://{place}/named.sock") == f"unix://{place}/named.sock"
    assert accept_address(f"unix://{place}/other.sock") == f"unix://{place}/other.sock"


def test_a_pattern_below_a_link_counts(place, settings):
    (place / "linked").symlink_to(place / "users")
    settings.ENGINE_SOCKETS = [f"{place}/linked/*/docker.sock"]
    assert accept_address(f"unix://{place}/linked/ann/docker.sock") == f"unix://{place}/linked/ann/docker.sock"
    assert accept_address(f"unix://{place}/users/ann/docker.sock") == f"unix://{place}/users/ann/docker.sock"


def test_what_is_stored_already_is_not_asked_about(place):
    stored = f"unix://{place}/other.sock"
    assert accept_address(stored, [stored]) == stored
    assert accept_address(f"UNIX://{place}//other.sock", [stored]) == stored
    assert accept_address("unix:///odd//path", ["unix:///odd//path"]) == "unix:///odd//path"
    with pytest.raises(EngineError):
        accept_address(f"unix://{place}/users/ann/other.sock", [stored])


@pytest.mark.parametrize(
    ("url", "spelled"),
    [
        ("TCP://Host:2376", "tcp://Host:2376"),
        ("SSH://me@host", "ssh://me@host"),
        ("tcp://host:2376", "tcp://host:2376"),
        ("http://host", "http://host"),
        ("unix://relative", "unix://relative"),
        ("tcp://[::1", "tcp://[::1"),
        ("", ""),
    ],
)
def test_other_addresses_are_spelled_and_left_to_their_own_check(url, spelled):
    assert accept_address(url) == spelled
    assert is_allowed_address(url)


def test_each_of_several_addresses_has_its_own_reason(place):
    accepted, problems = accept_addresses(f" tcp://a:1\r\nunix://{place}/other.sock  unix://{place}//docker.sock")
    assert accepted == f"tcp://a:1\nunix://{place}/docker.sock"
    assert [problem.partition(" ")[0] for problem in problems] == [f"unix://{place}/other.sock:"]


def test_those_that_exist_are_offered_each_engine_once(place, settings):
    (place / "again.sock").symlink_to(place / "docker.sock")
    (place / "users" / "ann" / "plain").write_text("")
    settings.ENGINE_SOCKETS += [f"{place}/again.sock", f"{place}/absent.sock", f"{place}/users/ann/plain"]
    assert list_offered_sockets() == [f"unix://{place}/docker.sock", f"unix://{place}/users/ann/docker.sock"]

import socket
import threading
from ipaddress import ip_address

import pytest

from triggers.notifications import addresses
from triggers.notifications.addresses import ForbiddenAddress, connect, explain_forbidden, unwrap


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "::169.254.169.254",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "240.0.0.1",
    ],
)
def test_addresses_of_credentials_and_of_nobody_are_forbidden(address):
    assert explain_forbidden(ip_address(address), 443)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "192.168.1.1", "fd12::1", "100.64.0.1", "93.184.216.34", "2606::1"]
)
def test_private_networks_are_allowed_unless_switched_off(settings, address):
    assert explain_forbidden(ip_address(address), 443) == ""
    settings.NOTIFY_PRIVATE_NETWORKS = False
    assert bool(explain_forbidden(ip_address(address), 443)) == (not ip_address(address).is_global)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"])
def test_the_consoles_own_port_is_forbidden_on_this_machine(settings, address):
    assert explain_forbidden(ip_address(address), settings.PORT) == "is the console's own address"
    assert explain_forbidden(ip_address("192.0.2.7"), settings.PORT) == ""


def test_an_address_within_another_one_is_found():
    assert str(unwrap(ip_address("64:ff9b::808:808"))) == "8.8.8.8"
    assert str(unwrap(ip_address("2606::1"))) == "2606::1"
    assert str(unwrap(ip_address("::1"))) == "::1"


@pytest.mark.parametrize("url", ["https://console.example.com", "https://Console.example.com:443/windlass"])
def test_the_consoles_public_name_is_forbidden_before_it_is_resolved(settings, url):
    settings.PUBLIC_URL = url
    with pytest.raises(ForbiddenAddress, match="own address"):
        connect("console.example.com.", 443, 1)


def listen():
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(5)
    return listener


def answer_as(monkeypatch, *found):
    """Names lead to these addresses. Returns the list of the names that were asked for."""
    asked = []

    def getaddrinfo(host, port, **_):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", getaddrinfo)
    return asked


def test_the_connection_goes_to_the_address_that_was_judged(monkeypatch):
    """Whatever the name server says a moment later."""
    with listen() as listener:
        asked = answer_as(monkeypatch, "127.0.0.1")
        with connect("rebinding.example.com", listener.getsockname()[1], 5) as connected:
            assert connected.getpeername() == listener.getsockname()
        assert asked == ["rebinding.example.com"]


def test_one_forbidden_address_of_a_name_forbids_it_and_nothing_is_connected(monkeypatch):
    with listen() as listener:
        answer_as(monkeypatch, "127.0.0.1", "169.254.169.254")
        with pytest.raises(ForbiddenAddress, match="rebinding.example.com leads to 169.254.169.254, which is"):
            connect("rebinding.example.com", listener.getsockname()[1], 5)
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_the_next_address_of_a_name_is_tried(monkeypatch):
    with listen() as listener:
        answer_as(monkeypatch, "127.0.0.9", "127.0.0.1")  # nobody listens at the first
        accepted = threading.Thread(target=listener.accept)
        accepted.start()
        connect("two.example.com", listener.getsockname()[1], 5).close()
        accepted.join(5)


def test_a_name_that_leads_nowhere_is_an_error(monkeypatch):
    answer_as(monkeypatch)
    with pytest.raises(ConnectionError):
        connect("nowhere.example.com", 443, 1)

import contextlib
import resource
import socket

import pytest

from console.server import granian_server
from console.server.granian_server import allow_connections, listen


def test_every_connection_ends_when_its_client_takes_nothing_for_long():
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


def test_the_kernel_keeps_little_of_an_answer_that_nobody_takes():
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            accepted.setblocking(False)
            taken = 0
            with contextlib.suppress(BlockingIOError):
                while True:
                    taken += accepted.send(b"a" * 65536)
    assert taken < 1_000_000


def test_the_address_can_be_one_of_ipv6():
    with listen("::1", 0) as listener:
        assert listener.family == socket.AF_INET6


@pytest.mark.parametrize(
    ("limits", "set_to", "connections"),
    [
        ((1024, 1_048_576), (17_408, 1_048_576), 16_384),
        ((1024, 4096), (4096, 4096), 3072),
        ((1024, 1024), None, 512),
        ((1_048_576, 1_048_576), None, 16_384),
        ((1024, resource.RLIM_INFINITY), (17_408, resource.RLIM_INFINITY), 16_384),
    ],
)
def test_as_many_connections_are_taken_as_the_system_allows_files(monkeypatch, limits, set_to, connections):
    done = []
    monkeypatch.setattr(granian_server.resource, "getrlimit", lambda kind: limits)
    monkeypatch.setattr(granian_server.resource, "setrlimit", lambda kind, values: done.append(values))
    assert allow_connections() == connections
    assert done == ([set_to] if set_to else [])

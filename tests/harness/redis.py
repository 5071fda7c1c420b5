"""A private Redis server on a free port of 127.0.0.1."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness.eventually import eventually
from tests.harness.proc import find_free_port, find_program, start_process, stop_process


@contextmanager
def run_redis(folder: Path) -> Iterator[str]:
    """Yields the server's BROKER_URL. Its files go to `folder`."""
    program = find_program("redis-server")
    assert program, "Redis is missing; install it with: apt-get install redis-server"
    port = find_free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    server = start_process([program, *options], folder / "redis.log")
    try:
        eventually(lambda: is_listening(port), within=10, what="Redis answers")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        stop_process(server)


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

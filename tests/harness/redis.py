"""A private Redis server on a free port of 127.0.0.1."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.eventually import eventually
from tests.harness.proc import find_free_port, find_program, start_process, stop_process


@dataclass
class PrivateRedis:
    """A server on its own port that stores nothing on disk. Its log is in `folder`."""

    folder: Path
    port: int = field(default_factory=find_free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        program = find_program("redis-server")
        assert program, "Redis is missing; install it with: apt-get install redis-server"
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        self.process = start_process([program, *options], self.folder / "redis.log")
        eventually(lambda: is_listening(self.port), within=10, what="Redis answers")

    def stop(self) -> None:
        if self.process:
            stop_process(self.process)

    def crash(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()


@contextmanager
def run_redis_server(folder: Path) -> Iterator[PrivateRedis]:
    server = PrivateRedis(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def run_redis(folder: Path) -> Iterator[str]:
    """Run a server and yield its BROKER_URL."""
    with run_redis_server(folder) as server:
        yield server.url


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

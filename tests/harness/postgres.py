"""Runs a command with a private PostgreSQL server: `python -m tests.harness.postgres -- pytest triggers`.

The server lives in a temporary folder, listens on a socket there only, and ends with the command.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.harness.eventually import eventually
from tests.harness.proc import start_process, stop_process


class PostgresMissing(Exception):
    """There is no PostgreSQL server. The message says how to install it."""


def find_postgres_folder() -> Path:
    """Return the folder of the programs of the newest server that Debian has installed. Raises PostgresMissing."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise PostgresMissing("PostgreSQL is missing; install it with: apt-get install postgresql")
    return found[-1].parent


def drop_privileges() -> list[str]:
    """Return a command prefix. PostgreSQL refuses to run as root, so root runs it as the user that its package created."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []


@dataclass
class PrivatePostgres:
    """A server whose data and socket are in `folder`."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://windlass@/postgres?host={self.folder}"

    def create(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        command = [str(find_postgres_folder() / "initdb"), "-D", str(self.folder / "data"), "-U", "windlass", "-A", "trust"]
        subprocess.run([*drop_privileges(), *command, "--no-sync"], check=True, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        programs = find_postgres_folder()
        options = ["-D", str(self.folder / "data"), "-k", str(self.folder), "-c", "listen_addresses=", "-F"]
        self.process = start_process([*drop_privileges(), str(programs / "postgres"), *options], self.folder / "server.log")
        ready = [str(programs / "pg_isready"), "-q", "-h", str(self.folder)]
        eventually(lambda: subprocess.run(ready, check=False).returncode == 0, within=20, what="PostgreSQL answers")

    def stop(self) -> None:
        if self.process:
            stop_process(self.process)

    def crash(self) -> None:
        """End all its processes at once, without writing anything more (SIGQUIT, PostgreSQL's immediate shutdown)."""
        assert self.process
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(20)


@contextmanager
def run_postgres_server() -> Iterator[PrivatePostgres]:
    folder = Path(tempfile.mkdtemp(prefix="windlass-pg-"))
    server = PrivatePostgres(folder)
    try:
        server.create()
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def run_postgres() -> Iterator[str]:
    """Run a server and yield its DATABASE_URL."""
    with run_postgres_server() as server:
        yield server.url


def main() -> int:
    command = sys.argv[2:] if sys.argv[1:2] == ["--"] else sys.argv[1:]
    try:
        with run_postgres() as url:
            return subprocess.run(command, env={**os.environ, "DATABASE_URL": url}, check=False).returncode
    except PostgresMissing as missing:
        print(missing, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

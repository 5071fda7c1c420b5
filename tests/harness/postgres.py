"""A private PostgreSQL server for one command: `python -m tests.harness.postgres -- pytest triggers`.

The server lives in a temporary folder, listens on a socket there only, and ends with the command.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness.eventually import eventually
from tests.harness.proc import start_process, stop_process


class PostgresMissing(Exception):
    """The message says how to get it."""


def find_postgres_folder() -> Path:
    """Where Debian keeps the newest installed server's programs. Raises PostgresMissing."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise PostgresMissing("PostgreSQL is missing; install it with: apt-get install postgresql")
    return found[-1].parent


def drop_privileges() -> list[str]:
    """PostgreSQL refuses to run as root: as root it runs as the user its package made."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []


@contextmanager
def run_postgres() -> Iterator[str]:
    """Yields the server's DATABASE_URL."""
    programs = find_postgres_folder()
    folder = Path(tempfile.mkdtemp(prefix="windlass-pg-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        prefix = drop_privileges()
        data = str(folder / "data")
        subprocess.run(
            [*prefix, str(programs / "initdb"), "-D", data, "-U", "windlass", "-A", "trust", "--no-sync"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        server = start_process(
            [*prefix, str(programs / "postgres"), "-D", data, "-k", str(folder), "-c", "listen_addresses=", "-F"],
            folder / "server.log",
        )
        try:
            ready = [str(programs / "pg_isready"), "-q", "-h", str(folder)]
            eventually(lambda: subprocess.run(ready, check=False).returncode == 0, within=20, what="PostgreSQL answers")
            yield f"postgresql://windlass@/postgres?host={folder}"
        finally:
            stop_process(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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

"""The console's role in PostgreSQL, as scripts/database_role.sh makes it: in a new volume and in one of an earlier version."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from tests.harness.console import BASE_DIR
from tests.harness.postgres import PrivatePostgres, drop_privileges, find_postgres_folder

PASSWORD = "a 'quoted' \\ password"  # noqa: S105
RIGHTS = "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = 'windlass'"

REFUSED = ("COPY (SELECT 1) TO PROGRAM 'true'", "SELECT * FROM pg_authid", "CREATE ROLE other", "SET ROLE postgres")


class Server(PrivatePostgres):
    """A server whose first superuser is `superuser`, and that asks for passwords except from whoever has its files."""

    superuser = "postgres"

    def create(self) -> None:
        shutil.chown(self.folder, "postgres", "postgres")
        command = [str(find_postgres_folder() / "initdb"), "-D", str(self.folder / "data"), "-U", self.superuser, "-A", "trust"]
        subprocess.run([*drop_privileges(), *command, "--no-sync"], check=True, stdout=subprocess.DEVNULL)

    def connect(self, user: str, database: str = "windlass") -> psycopg.Connection:
        return psycopg.connect(host=str(self.folder), user=user, dbname=database, autocommit=True)

    def make_role(self) -> None:
        secret = self.folder / "secret"
        secret.write_text(f"{PASSWORD}\n")
        path = f"{find_postgres_folder()}:{os.environ['PATH']}"
        environment = {"PATH": path, "PGHOST": str(self.folder), "PASSWORD_FILE": str(secret)}
        script = BASE_DIR / "scripts" / "database_role.sh"
        done = subprocess.run([str(script)], env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")

    def migrate(self, *arguments: str) -> None:
        url = f"postgres://windlass:{quote(PASSWORD)}@/windlass?host={self.folder}"
        environment = {
            **os.environ,
            "DATABASE_URL": url,
            "WINDLASS_DATA_DIR": str(self.folder / "console"),
            "DJANGO_SETTINGS_MODULE": "console.settings",
        }
        command = [sys.executable, str(BASE_DIR / "manage.py"), "migrate", "--verbosity=0", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="windlass-pg-"))
    made = Server(folder)
    made.superuser = request.param
    try:
        made.create()
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def assert_ordinary(server: Server) -> None:
    with server.connect("windlass") as connection:
        assert connection.execute(RIGHTS).fetchone() == (False, False, False, False, False)
        for statement in REFUSED:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
    with server.connect("postgres", "postgres") as connection:
        found = connection.execute("SELECT rolname, rolpassword FROM pg_authid WHERE rolcanlogin ORDER BY 1").fetchall()
    assert [(name, bool(password)) for name, password in found] == [("postgres", False), ("windlass", True)]


@pytest.mark.parametrize("server", ["postgres"], indirect=True)
def test_a_new_volume_gets_a_role_that_can_migrate_and_nothing_more(server: Server) -> None:
    server.make_role()
    server.migrate()
    assert_ordinary(server)
    server.make_role()  # again
    assert_ordinary(server)


@pytest.mark.parametrize("server", ["windlass"], indirect=True)
def test_a_volume_of_an_earlier_version_keeps_what_it_holds(server: Server) -> None:
    with server.connect("windlass", "postgres") as connection:
        connection.execute("CREATE DATABASE windlass")
    server.migrate("clusters", "0003_access")
    with server.connect("windlass") as connection:
        connection.execute("INSERT INTO auth_group (name) VALUES ('night shift')")
    server.make_role()
    server.migrate()
    assert_ordinary(server)
    with server.connect("windlass") as connection:
        connection.execute("INSERT INTO auth_group (name) VALUES ('day shift')")
        names = connection.execute("SELECT name FROM auth_group WHERE name LIKE '%shift' ORDER BY id").fetchall()
    assert names == [("night shift",), ("day shift",)]
    server.make_role()
    assert_ordinary(server)

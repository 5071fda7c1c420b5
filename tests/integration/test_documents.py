"""What operators copy from the docs and what no proxy is needed for: commands, and the configuration of ssh."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.harness.documents import DOCS, read_block, read_blocks, replace_words
from tests.harness.proc import find_program


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_every_command_is_one_for_a_shell(page: str) -> None:
    for block in read_blocks(page, "sh"):
        done = subprocess.run(["sh", "-n"], input=block, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), block


def test_a_backup_is_for_its_owner_alone(tmp_path: Path) -> None:
    """The commands run while the database is open, and under the usual umask."""
    (tmp_path / "var").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "var" / "encryption.key").write_text("key")
    (tmp_path / "var" / "encryption.key").chmod(0o600)
    block = replace_words(read_block("operate.md", "sh", ".backup(b)"), {"/somewhere/else/": f"{tmp_path}/elsewhere/"})
    with closing(sqlite3.connect(tmp_path / "var" / "windlass.sqlite3")) as database:
        database.executescript("PRAGMA journal_mode=WAL; CREATE TABLE t (x); INSERT INTO t VALUES (7);")
        subprocess.run(["sh", "-ec", f"umask 022\n{block}"], cwd=tmp_path, check=True)
    copies = [tmp_path / "windlass.backup", tmp_path / "elsewhere" / "encryption.key"]
    assert [path.stat().st_mode & 0o777 for path in copies] == [0o600, 0o600]
    with closing(sqlite3.connect(copies[0])) as copy:
        assert copy.execute("SELECT x FROM t").fetchall() == [(7,)]


def test_a_dump_is_for_its_owner_alone() -> None:
    assert read_block("operate.md", "sh", "pg_dump ").startswith("umask 077\n")


def test_ssh_takes_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(read_block("operate.md", "", "ControlMaster"))
    command = [find_program("ssh") or "ssh", "-G", "-F", str(tmp_path / "config"), "build.example.com"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"controlmaster auto", "controlpersist 60"} <= set(done.stdout.splitlines())

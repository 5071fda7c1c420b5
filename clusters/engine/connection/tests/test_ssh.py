"""The connection by the ssh command."""

import os

import pytest
from structlog.testing import capture_logs

from clusters.engine.connection.ssh import SSHSocket
from clusters.engine.connection.ssh_failures import SSHFailed
from clusters.engine.connection.tests.test_ssh_failures import CHANGED


@pytest.fixture
def install(tmp_path, monkeypatch):
    """`install(script)` makes a shell script the ssh command."""

    def install(script: str) -> None:
        (tmp_path / "ssh").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "ssh").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return install


def test_what_ssh_says_is_one_line_of_the_log_and_the_error(install, tmp_path, capfd):
    (tmp_path / "said").write_text(CHANGED)
    install(f"cat {tmp_path}/said >&2; exit 255")
    with capture_logs() as lines:
        connection = SSHSocket("ssh://me@build", 10)
        with pytest.raises(SSHFailed, match="another one than the one in known_hosts"):
            connection.makefile("rb").read()
        connection.close()
    assert [(line["event"], line["log_level"]) for line in lines] == [("ssh ended", "warning")]
    assert "ssh-keygen -R 'build'" in lines[0]["reason"]
    assert capfd.readouterr().err == ""


def test_a_connection_that_ssh_lost_while_nobody_read_is_reported_when_it_is_closed(install):
    install("echo 'Connection to build closed by remote host.' >&2; exit 255")
    with capture_logs() as lines:
        connection = SSHSocket("ssh://me@build", 10)
        connection._process.wait()
        connection.close()
    assert [line["reason"] for line in lines] == [
        "The engine at build cannot be reached by ssh: Connection to build closed by remote host."
    ]


@pytest.mark.parametrize("script", ["exit 0", "exec sleep 60"])
def test_an_end_that_was_meant_is_no_failure(install, script):
    install(script)
    with capture_logs() as lines:
        connection = SSHSocket("ssh://me@build", 10)
        if script == "exit 0":
            assert connection.makefile("rb").read() == b""
        connection.close()
    assert lines == []
    assert connection._process.returncode is not None


def test_nothing_is_left_open_without_an_ssh_command(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    before = os.listdir("/proc/self/fd")
    with pytest.raises(FileNotFoundError):
        SSHSocket("ssh://me@build", 10)
    assert os.listdir("/proc/self/fd") == before

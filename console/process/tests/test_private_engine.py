"""What the programs of a private engine get of the console's environment."""

import shutil
import tempfile
from pathlib import Path

import pytest

from console.process import private_engine

SECRETS = {
    "WINDLASS_ENCRYPTION_KEY": "planted-1",
    "DATABASE_URL": "postgres://windlass:planted-2@db/windlass",
    "AWS_SECRET_ACCESS_KEY": "planted-3",
}


@pytest.fixture
def folder(monkeypatch):
    """A folder with a short path, and programs in it that write their environment to files of their names."""
    made = Path(tempfile.mkdtemp(prefix="windlass-"))
    for name in ("dockerd", "apt-get"):
        (made / name).write_text(f"#!/bin/sh\nenv > {made}/{name}.env\n")
        (made / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{made}:/usr/bin:/bin")
    for name, value in {**SECRETS, "HTTPS_PROXY": "http://proxy:3128", "DOCKER_RAMDISK": "1"}.items():
        monkeypatch.setenv(name, value)
    yield made
    shutil.rmtree(made)


def test_the_engine_and_the_installer_get_what_they_need_and_no_secret(folder):
    private_engine.launch_private_engine(folder / "engine").process.wait(20)
    private_engine.install_packages(["docker.io"])
    engine, installer = ((folder / f"{name}.env").read_text() for name in ("dockerd", "apt-get"))
    assert "planted" not in engine + installer
    assert "HTTPS_PROXY=http://proxy:3128" in engine
    assert "HTTPS_PROXY=http://proxy:3128" in installer
    assert "DOCKER_RAMDISK=1" in engine
    assert "/sbin" in engine
    assert "DEBIAN_FRONTEND=noninteractive" in installer

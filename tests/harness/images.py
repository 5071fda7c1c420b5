"""Makes images for tests: busybox on scratch with any metadata, in one engine request each."""

import io
import tarfile
from pathlib import Path
from typing import Any

import docker

from tests.harness.proc import find_program

BASE = "windlass-test/base:1"
APPLETS = (
    "sh",
    "sleep",
    "httpd",
    "wget",
    "nc",
    "cat",
    "echo",
    "true",
    "false",
    "ls",
    "mkdir",
    "nslookup",
    "touch",
    "env",
    "kill",
)
# Serves until SIGTERM and then stops at once. As PID 1, plain sleep would ignore SIGTERM for the whole grace period.
SERVE = ["/bin/sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"]
CRASH = ["/bin/false"]
HEALTHY = {"Test": ["CMD", "/bin/true"], "Interval": 100_000_000, "Timeout": 5_000_000_000, "Retries": 1}  # nanoseconds
UNHEALTHY = {**HEALTHY, "Test": ["CMD", "/bin/false"]}


def create_base_image(api: docker.APIClient) -> None:
    """Import busybox from this machine as BASE. The engine needs no registry and no network."""
    repository, _, tag = BASE.rpartition(":")
    api.import_image_from_data(write_base_archive(), repository=repository, tag=tag)


def write_base_archive() -> bytes:
    """Return BASE's files as a tar archive."""
    busybox = find_program("busybox")
    if not busybox:
        raise AssertionError("These tests need a static busybox: `apt-get install busybox-static` installs it on Debian.")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(Path(busybox).resolve(), "bin/busybox")
        for applet in APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for folder in ("tmp", "data", "srv"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(entry)
    return archive.getvalue()


def make_image(api: docker.APIClient, reference: str, **config: Any) -> str:
    """Create an image `reference` with BASE's files and this config (Engine API names: Env, Cmd, Labels, …). Returns its id.

    Serves until stopped when no Cmd is given. Give a label or variable of its own to tell versions apart.
    """
    config.setdefault("Cmd", SERVE)
    repository, _, tag = reference.rpartition(":")
    container = api.create_container(BASE, command=["/bin/true"])["Id"]
    try:
        return str(api.commit(container, repository=repository, tag=tag, conf=config)["Id"])
    finally:
        api.remove_container(container)

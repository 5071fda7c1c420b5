"""A redeploy on an engine whose disk is full, and after space was made."""

import contextlib
import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from clusters.engine.connection.client import EngineClient
from clusters.engine.drivers import driver_for
from tests.harness.driving import Drive, no_check, observe
from tests.harness.engine import PrivateEngine, start_engine, stop_engine, take_number
from tests.harness.images import BASE, SERVE
from tests.harness.projects import create_container, list_names, list_running
from tests.harness.registry import PrivateRegistry

MEGABYTE = 1 << 20
DISK = 80 * MEGABYTE


@pytest.fixture
def small_engine(engine: PrivateEngine) -> Iterator[PrivateEngine]:
    """An engine whose data is on a small file system. `engine` is there first, for what all engines of a session need."""
    small = take_number()
    data = small.folder / "data"
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", data], check=True)
    try:
        start_engine(small)
        yield small
    finally:
        if small.daemon:
            stop_engine(small)
        subprocess.run(["umount", "--lazy", data], check=True)
        stop_engine(small)


class Disk:
    """The engine's file system. `fill` leaves so many bytes."""

    def __init__(self, engine: PrivateEngine) -> None:
        self._file = engine.folder / "data" / "filler"

    def fill(self, left: int = 0) -> None:
        with self._file.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while (state := os.statvfs(self._file.parent)).f_bavail * state.f_frsize > left:
                file.write(bytes(4096))

    def free(self) -> None:
        self._file.unlink(missing_ok=True)


def publish(api: docker.APIClient, registry: PrivateRegistry, size: int) -> str:
    """Push an image with a file of so many bytes that cannot be compressed."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("blob")
        entry.size = size
        archive.addfile(entry, io.BytesIO(os.urandom(size)))
    container = api.create_container(BASE, command=["-"])["Id"]
    api.put_archive(container, "/", packed.getvalue())
    image = api.commit(container, repository="windlass-test/heavy", tag="1", conf={"Cmd": SERVE})["Id"]
    api.remove_container(container)
    reference = registry.push(api, "heavy", image, "1")
    api.remove_image("windlass-test/heavy:1")
    return reference


def redeploy(engine: PrivateEngine, on_event: Callable[[str], None] = lambda word: None) -> Drive:
    """Redeploy `web`. `on_event` receives each operation's word before its request is sent."""
    with EngineClient(engine.endpoint) as client:
        driver = driver_for("container")
        plan = driver.plan_redeploy(observe(client, "web", source="container"))
        drive = Drive(plan.as_text())

        def report(level: str, word: str, text: str) -> None:
            drive.report(level, word, text)
            on_event(word)

        drive.outcome = driver.execute(client, plan, report, no_check)
        return drive


@pytest.mark.parametrize("moment", ["create", "start"])
def test_a_full_disk_leaves_the_old_container_and_the_next_redeploy_needs_no_repair(
    small_engine: PrivateEngine, api: docker.APIClient, registry: PrivateRegistry, moment: str, tmp_path: Path
) -> None:
    disk = Disk(small_engine)
    with small_engine.connect() as small:
        reference = publish(api, registry, MEGABYTE)
        small.pull(reference)
        create_container(small, "web", reference, HostConfig={"Binds": [f"{tmp_path}:/data"]})
        old = small.inspect_container("web")
        publish(api, registry, 15 * MEGABYTE)
        disk.fill(10 * MEGABYTE)
        drive = redeploy(small_engine)
        assert drive.outcome
        assert drive.outcome.state == "failed"
        assert "no space left on device" in drive.outcome.message
        assert drive.outcome.message.endswith("Nothing was touched.")
        assert small.inspect_container("web") == old
        disk.free()

        drive = redeploy(small_engine, lambda word: disk.fill() if word == moment else None)
        assert drive.outcome
        assert drive.state in {"rolled_back", "failed"}, drive.outcome
        assert "no space left on device" in drive.outcome.message
        if drive.state == "rolled_back":
            assert (small.inspect_container("web")["Id"], list_running(small)) == (old["Id"], {"web"})
        else:
            assert "The rollback had problems" in drive.outcome.message
        disk.free()

        drive = redeploy(small_engine)
        assert drive.state == "succeeded", drive.outcome
        assert list_names(small) == list_running(small) == {"web"}
        assert small.inspect_container("web")["Image"] == small.inspect_image(reference)["Id"] != old["Image"]

"""Starts the sample application on an empty engine, so that a newcomer has something to redeploy."""

import os
import platform
import shutil
import time
from pathlib import Path

from clusters.engine import sample
from clusters.engine.connection.client import EngineClient
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.errors import EngineError, EngineUnreachable
from console.process.private_engine import EngineStartError, install_packages, is_debian

BUSYBOX_PATHS = ("/bin/busybox", "/usr/bin/busybox")
ENGINE_PATIENCE = 300.0  # seconds; a private engine sometimes has to be installed first


def start_sample_if_empty(endpoint: EngineEndpoint) -> str:
    """Start the application `hello` if the engine has no container at all. Returns a sentence that says what was done or why
    it failed, or an empty string if there was nothing to do."""
    try:
        with wait_for_engine(endpoint) as client:
            if not sample.engine_is_empty(client):
                return ""
            architecture = sample.engine_architecture(client)
            if architecture != platform.machine():
                return (
                    f"The sample application was not started: the engine's architecture is {architecture}, "
                    f"but this machine's is {platform.machine()}."
                )
            sample.deploy_sample(client, find_busybox().read_bytes())
            return "The engine was empty, so the sample application hello was started. WINDLASS_SAMPLE=0 prevents that."
    except EngineUnreachable:
        return ""  # the clusters page shows the reason
    except (EngineError, EngineStartError, OSError) as error:
        return f"The sample application was not started: {error}"


def wait_for_engine(endpoint: EngineEndpoint) -> EngineClient:
    """Return a client as soon as the engine answers. Raises EngineUnreachable after ENGINE_PATIENCE."""
    deadline = time.monotonic() + ENGINE_PATIENCE
    while True:
        try:
            return EngineClient(endpoint)
        except EngineUnreachable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def find_busybox() -> Path:
    """Return a statically linked busybox, and install it if possible. Raises EngineStartError."""
    path = find_installed_busybox()
    if not path and os.geteuid() == 0 and is_debian() and shutil.which("apt-get"):
        install_packages(["busybox-static"])
        path = find_installed_busybox()
    if not path:
        raise EngineStartError("It needs a statically linked busybox. On Debian: apt-get install busybox-static")
    return path


def find_installed_busybox() -> Path | None:
    return next((path for path in map(Path, BUSYBOX_PATHS) if path.exists() and is_static(path)), None)


def is_static(program: Path) -> bool:
    """Return whether an ELF program names no dynamic loader. Debian's plain busybox names one."""
    with program.open("rb") as stream:
        start = stream.read(4096)
    return start.startswith(b"\x7fELF") and b"/ld-" not in start

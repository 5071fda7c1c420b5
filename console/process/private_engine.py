"""A private Docker engine for a machine that has none. It keeps everything in one folder and ends with the console.

Containers of a private engine stop with it, and start with it again if their restart policy says so. This module does not use
Django: `manage.py run_engine` becomes the daemon, and tests start their own engines with `start_private_engine`.
"""

import http.client
import os
import platform
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clusters.child_environment import ENGINE, PACKAGE_TOOLS, build_child_environment

START_LIMIT = 60.0  # seconds until a new engine answers
STOP_LIMIT = 30.0  # seconds for an engine and its containers to stop; dockerd gives the containers 15 of them
DIRECTORY_LENGTH_LIMIT = 70  # bytes; the name of a socket can have 107, and those of containerd are the longest
PACKAGES = ("docker.io", "iptables")
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"  # the folders of dockerd and iptables, often missing in a user's PATH


class EngineStartError(Exception):
    """There is no private engine. The message is one sentence that says why."""


@dataclass
class PrivateEngine:
    """A running private engine. `stop()` ends it and its containers."""

    process: subprocess.Popen[bytes]
    socket: Path
    log: Path

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def stop(self, timeout: float = STOP_LIMIT) -> None:
        """Send SIGTERM, then SIGKILL after `timeout` seconds."""
        self.process.terminate()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def socket_path(directory: Path) -> Path:
    return directory / "docker.sock"


def daemon_command(
    directory: Path,
    *,
    socket_at: Path | None = None,
    bridge: str = "",
    bridge_address: str = "",
    arguments: Sequence[str] = (),
) -> list[str]:
    """Return the command of a dockerd that keeps everything under `directory`. `bridge` names an existing bridge; without it,
    docker0 gets `bridge_address`, such as 172.30.0.1/24."""
    command = [
        "dockerd",
        "--config-file",
        str(directory / "no-daemon.json"),  # instead of the machine's own settings
        "--data-root",
        str(directory / "data"),
        "--exec-root",
        str(directory / "exec"),
        "--pidfile",
        str(directory / "dockerd.pid"),
        "--host",
        f"unix://{socket_at or socket_path(directory)}",
    ]
    if bridge:
        command += ["--bridge", bridge]
    elif bridge_address:
        command += ["--bip", bridge_address]
    return [*command, *arguments]


def daemon_environment(*patterns: str) -> dict[str, str]:
    """Return what dockerd, or another program of the system, gets of this process's environment. See clusters.child_environment
    for `patterns`."""
    passed = build_child_environment(*patterns, chosen=False)
    return {**passed, "PATH": f"{os.environ.get('PATH', '/usr/bin:/bin')}:{SBIN}"}


def prepare_directory(directory: Path) -> None:
    """Create the folder, and remove the pid file of a killed engine, whose number another process can have by now.

    Raises EngineStartError if the sockets below the folder would have names longer than the system allows.
    """
    if len(os.fsencode(directory)) > DIRECTORY_LENGTH_LIMIT:
        raise EngineStartError(
            f"The path {directory} is too long for an engine's sockets. Choose a shorter data folder with WINDLASS_DATA_DIR."
        )
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    (directory / "exec").mkdir(mode=0o711, exist_ok=True)
    config = directory / "no-daemon.json"
    if not config.exists():
        config.write_text("{}\n")
    (directory / "dockerd.pid").unlink(missing_ok=True)


def start_private_engine(
    directory: Path,
    *,
    socket_at: Path | None = None,
    bridge: str = "",
    bridge_address: str = "",
    arguments: Sequence[str] = (),
    log: Path | None = None,
    wrapper: Sequence[str] = (),
    start_limit: float = START_LIMIT,
) -> PrivateEngine:
    """Start dockerd in its own session and wait until it answers. Raises EngineStartError with the log's last line."""
    engine = launch_private_engine(
        directory,
        socket_at=socket_at,
        bridge=bridge,
        bridge_address=bridge_address,
        arguments=arguments,
        log=log,
        wrapper=wrapper,
    )
    wait_until_ready(engine, start_limit)
    return engine


def launch_private_engine(
    directory: Path,
    *,
    socket_at: Path | None = None,
    bridge: str = "",
    bridge_address: str = "",
    arguments: Sequence[str] = (),
    log: Path | None = None,
    wrapper: Sequence[str] = (),
) -> PrivateEngine:
    """Start dockerd without waiting for it. Raises EngineStartError if it is not installed or the folder is unsuitable.

    `wrapper` is put before the command, such as `nsenter --net=…`; `arguments` after it, such as `--insecure-registry=…`.
    """
    if not daemon_is_installed():
        raise EngineStartError("dockerd is not installed. On Debian: apt-get install --no-install-recommends docker.io")
    prepare_directory(directory)
    command = daemon_command(directory, socket_at=socket_at, bridge=bridge, bridge_address=bridge_address, arguments=arguments)
    log = log or directory / "dockerd.log"
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [*wrapper, *command],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            env=daemon_environment(*ENGINE),
        )
    return PrivateEngine(process, socket_at or socket_path(directory), log)


def wait_until_ready(engine: PrivateEngine, start_limit: float = START_LIMIT) -> None:
    """Wait until the engine answers. If it does not, stop it and raise EngineStartError with the log's last line."""
    deadline = time.monotonic() + start_limit
    while not engine_answers(engine.socket):
        if engine.process.poll() is not None or time.monotonic() > deadline:
            engine.stop()
            raise EngineStartError(f"The engine did not start: {last_line(engine.log)}")
        time.sleep(0.1)


def last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1][-500:] if lines else "it wrote nothing."


def daemon_is_installed() -> bool:
    return shutil.which("dockerd", path=daemon_environment()["PATH"]) is not None


def find_obstacle() -> str:
    """Return what to do if this process cannot start a private engine, as a sentence without its period. Empty if it can."""
    if os.geteuid() != 0:
        return (
            "Start one, or add this user to the group docker if one is running, "
            "or start the console as root so that it starts a private one"
        )
    if not daemon_is_installed() and not (is_debian() and shutil.which("apt-get")):
        return "Install Docker Engine and start it"
    return ""


def is_debian() -> bool:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return False
    return "debian" in {release.get("ID"), *release.get("ID_LIKE", "").split()}


def install_daemon() -> None:
    """Install Debian's docker.io. Raises EngineStartError."""
    install_packages(PACKAGES)
    if not daemon_is_installed():
        raise EngineStartError("docker.io was installed, but dockerd is still missing.")


def install_packages(packages: Sequence[str]) -> None:
    """Run apt-get update and install, without recommended packages. Raises EngineStartError with the last line of output."""
    install = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-install-recommends", *packages]
    for command in (["apt-get", "update"], install):
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**daemon_environment(*PACKAGE_TOOLS), "DEBIAN_FRONTEND": "noninteractive"},
            check=False,
        )
        if result.returncode:
            lines = result.stdout.strip().splitlines() or ["no reason given"]
            raise EngineStartError(f"{' '.join(packages)} could not be installed: {lines[-1]}")


def engine_answers(path: Path, timeout: float = 2.0) -> bool:
    """Return whether an engine answers `/_ping` at this socket. A denied permission counts as no answer."""
    return describe_silence(path, timeout) == ""


def describe_silence(path: Path, timeout: float = 2.0) -> str:
    """Return why no engine answers at this socket. Empty if one does."""
    connection = http.client.HTTPConnection("localhost", timeout=timeout)
    try:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(timeout)
        connection.sock.connect(str(path))
        connection.request("GET", "/_ping")
        status = connection.getresponse().status
        return "" if status == 200 else f"it answered {status}"
    except OSError as error:
        return error.strerror or type(error).__name__
    except http.client.HTTPException as error:
        return type(error).__name__
    finally:
        connection.close()

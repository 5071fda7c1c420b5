"""Starts processes that never outlive the process that started them."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path


def start_process(command: list[str], log: Path, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start `command` in its own session, with both outputs appended to `log`. The kernel kills it when its starter dies."""
    with log.open("ab") as output:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(env or {})},
        )


def stop_process(process: subprocess.Popen[bytes], grace: float = 5.0) -> None:
    """Send SIGTERM, wait `grace` seconds, then kill."""
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(grace)


def kill_namespace(process: "subprocess.Popen[bytes]") -> None:
    """Kill what `unshare --pid --fork --kill-child` started. Nothing of it is left when this returns.

    The namespace's first process is killed rather than `unshare`: the kernel reports its end only after all others'.
    """
    pid = process.pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        children = []
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)
    if not children:
        process.kill()
    process.wait()


def find_free_port(address: str = "127.0.0.1") -> int:
    """Return a TCP port of this machine's address that is free at this moment."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def find_program(*names: str) -> str | None:
    """Return the first of the programs that is installed. Also searches the sbin folders, which PATH often lacks."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def read_start_time(pid: int) -> str:
    """Return the start of a process in clock ticks since boot, or empty text without such a process. With the pid, it is an
    identity."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return stat.rpartition(")")[2].split()[19]

"""Processes the harness starts: they end with the process that started them, and never outlive it."""

import os
import shutil
import socket
import subprocess
from pathlib import Path


def start_process(command: list[str], log: Path, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Starts `command` in a session of its own, both outputs appended to `log`. The kernel kills it when its starter dies."""
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
    """Asks, waits `grace` seconds, then kills."""
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(grace)


def find_free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_program(*names: str) -> str | None:
    """The first of the programs that is installed; looks in the sbin folders too, which a plain PATH may lack."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def read_start_time(pid: int) -> str:
    """The process's start in clock ticks since boot, empty when there is no such process: with the pid, its identity."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return stat.rpartition(")")[2].split()[19]

"""Measures what trees of processes use, and stops them for a while. It reads /proc, so it needs Linux."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
QUIET_SHARE = 0.05  # of one CPU; an idle tree uses less


def list_tree(root: int) -> list[int]:
    """Return the pids of the process and all its descendants."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (fields := read_stat(int(folder.name))):
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def read_stat(pid: int) -> list[str]:
    """Return the fields of proc(5)'s stat from the third one (state) on, or an empty list if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def read_cpu(root: int) -> float:
    """Return the user and system CPU seconds of a tree so far, including those of children that ended and were waited for."""
    return sum(sum(map(int, fields[11:15])) for pid in list_tree(root) if (fields := read_stat(pid))) / TICKS


def read_memory(root: int, kind: str = "Pss") -> float:
    """Return the megabytes of memory of a tree. With "Pss", a page that n processes of the machine share counts as an n-th for
    each of them; with "Rss" it counts in full for each."""
    kilobytes = 0
    for pid in list_tree(root):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            kilobytes += next((int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")), 0)
    return kilobytes * 1024 / 1_000_000


@contextlib.contextmanager
def stilled(root: int) -> Iterator[None]:
    """Stop the tree while the context is active. Afterwards, wait until it has caught up."""
    tree = list_tree(root)
    for pid in tree:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in tree:
            os.kill(pid, signal.SIGCONT)
        wait_until_quiet(root)


def wait_until_quiet(root: int, within: float = 30.0) -> None:
    """Wait until the tree has been almost idle for half a second."""
    deadline = time.monotonic() + within
    used = read_cpu(root)
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = read_cpu(root)
        if now - used <= QUIET_SHARE * 0.5:
            return
        used = now

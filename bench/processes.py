"""What whole trees of processes use, and holding them still: from /proc, so Linux only."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
QUIET_SHARE = 0.05  # of one CPU; what idles may still tick


def list_tree(root: int) -> list[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (fields := read_stat(int(folder.name))):
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def read_stat(pid: int) -> list[str]:
    """The fields of proc(5)'s stat from the third (state) on; none when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def read_cpu(root: int) -> float:
    """CPU seconds of a tree so far: user and system, and of those children that ended and were waited for."""
    return sum(sum(map(int, fields[11:15])) for pid in list_tree(root) if (fields := read_stat(pid))) / TICKS


def read_memory(root: int, kind: str = "Pss") -> float:
    """Megabytes of a tree in memory. "Pss": a page that n processes of the machine share counts for each as an n-th of it.
    "Rss": it counts for each."""
    kilobytes = 0
    for pid in list_tree(root):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            kilobytes += next((int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")), 0)
    return kilobytes * 1024 / 1_000_000


@contextlib.contextmanager
def stilled(root: int) -> Iterator[None]:
    """The tree sleeps meanwhile, and has caught up with what it missed when this ends."""
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
    """Until the tree has next to nothing to do for half a second."""
    deadline = time.monotonic() + within
    used = read_cpu(root)
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = read_cpu(root)
        if now - used <= QUIET_SHARE * 0.5:
            return
        used = now

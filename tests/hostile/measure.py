"""Reads what a process uses from /proc, so it needs Linux."""

import contextlib
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
EVERY = 0.1  # seconds


def read_cpu(pid: int) -> float:
    """Return the CPU seconds that a process has used, by its clock: clock_getcpuclockid(3), which Python does not have."""
    return time.clock_gettime(~pid << 3 | 2)


def count_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def read_status(pid: int, name: str) -> int:
    """Return a number of proc(5)'s status: `Threads`, or kilobytes such as `VmRSS`."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def read_kernel_memory() -> int:
    """Return the bytes that the kernel holds for TCP connections of this machine: what was not sent or not read yet."""
    line = next(line for line in Path("/proc/net/sockstat").read_text().splitlines() if line.startswith("TCP:"))
    return int(line.split()[-1]) * PAGE


@dataclass
class Peaks:
    """The highest values since `begin`: bytes of memory, bytes of the kernel for all connections, open files, and threads."""

    memory: int = 0
    kernel: int = 0
    files: int = 0
    threads: int = 0


@dataclass
class Watch:
    """Watches one process from a thread."""

    pid: int
    peaks: Peaks = field(default_factory=Peaks)
    is_over: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        """Forget the highest values."""
        # The kernel keeps the highest memory itself; 5 resets it (proc(5), clear_refs).
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        self.peaks = Peaks()
        self.look()

    def look(self) -> Peaks:
        peaks = self.peaks
        peaks.memory = max(peaks.memory, read_status(self.pid, "VmHWM") * 1024)
        peaks.kernel = max(peaks.kernel, read_kernel_memory())
        peaks.files = max(peaks.files, count_files(self.pid))
        peaks.threads = max(peaks.threads, read_status(self.pid, "Threads"))
        return peaks

    def keep_looking(self) -> None:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the process has ended
            while not self.is_over.is_set():
                self.look()
                time.sleep(EVERY)

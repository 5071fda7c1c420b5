"""Measures what the whole program uses while nothing happens: `python -m bench --only idle`.

It counts all processes of `manage.py up` with one engine that runs twenty containers, but not those of the engine. Memory is
PSS, in which shared pages count once. Other programs that use the same Python lower it; RSS is the upper bound.
"""

import time
from collections.abc import Iterable

from bench.processes import list_tree, read_cpu, read_memory
from bench.site import run_site
from bench.table import Row, hold_against

SECONDS = 30.0
MEMORY_GOAL, CPU_GOAL = 250, 1  # MB, % of one CPU


def measure(seconds: float = SECONDS, containers: int = 20) -> Iterable[Row]:
    with run_site() as site:
        site.make_project("idle").up("--scale", f"web={containers}")
        site.console.create_trigger("idle", "redeploy")
        site.settle()
        pid = site.console.process.pid
        used, started = read_cpu(pid), time.monotonic()
        time.sleep(seconds)
        cpu = (read_cpu(pid) - used) / (time.monotonic() - started) * 100
        memory, resident, processes = read_memory(pid), read_memory(pid, "Rss"), len(list_tree(pid))
    yield hold_against(f"idle: memory of {processes} processes (PSS)", [memory], "MB", at_most=MEMORY_GOAL)
    yield hold_against("idle: the same with what they share in each (RSS)", [resident], "MB")
    yield hold_against(f"idle: CPU over {seconds:g} s", [cpu], "%", at_most=CPU_GOAL)

"""The text of /metrics, in Prometheus' exposition format 0.0.4.

`console.telemetry.totals` provides the sums of what all processes count. Current values (queues, clusters, processes) come
from the console's existing rows. `process_*` describes the web process that answers.
"""

import os
import resource
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path

from django.db.models import Count, Min, Q
from django.utils import timezone

from clusters.meters import METERS, Series
from clusters.models import Cluster
from console.models import Process
from console.telemetry.totals import list_processes, read_resident_bytes, read_totals
from triggers.models import ACTIVE_STATES, CallState, TriggerCall
from triggers.selectors import only_active

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PARTS = ("web", "worker", "watch")

Labels = tuple[tuple[str, str], ...]
Samples = Iterable[tuple[str, Labels, float]]  # name, labels, value


def render_metrics() -> str:
    """Return the text of all metrics. Counts of this process are included once they are stored."""
    now = timezone.now()
    clusters = list(Cluster.objects.only("uid", "name", "status", "synced_at", "created_at"))
    counted = render_totals(read_totals(), clusters)
    return "".join([*counted, *render_calls(now), *render_clusters(clusters, now), *render_processes()])


def render_totals(totals: Mapping[Series, float], clusters: Iterable[Cluster]) -> Iterable[str]:
    """Yield the text of each meter. Clusters appear by their current name; counts of deleted clusters are omitted."""
    names = {cluster.uid: cluster.name for cluster in clusters}
    found: dict[str, list[tuple[str, Labels, float]]] = defaultdict(list)
    for (name, labels), value in totals.items():
        if all(key != "cluster" or uid in names for key, uid in labels):
            shown = tuple((key, names[text] if key == "cluster" else text) for key, text in labels)
            found[name].append((name, shown, value))
    for meter in METERS:
        suffixes = ("_bucket", "_sum", "_count") if meter.kind == "histogram" else ("",)
        samples = [sample for suffix in suffixes for sample in sorted(found[f"{meter.name}{suffix}"], key=_order)]
        yield render_metric(meter.name, meter.kind, meter.help, samples)


def _order(sample: tuple[str, Labels, float]) -> tuple[list[str], float]:
    """Return a sort key: the labels, then the bound of a bucket."""
    labels = dict(sample[1])
    bound = float(labels.pop("le", "0"))
    return list(labels.values()), bound


def render_calls(now: datetime) -> Iterable[str]:
    active = only_active(TriggerCall.objects.order_by()).values_list("state")
    free = Min("queued_at", filter=Q(held_until__isnull=True))
    found = {state: (number, oldest or now) for state, number, oldest in active.annotate(number=Count("pk"), oldest=free)}
    name = "windlass_calls_active"
    numbers = [(name, (("state", state.value),), found.get(state, (0, now))[0]) for state in ACTIVE_STATES]
    yield render_metric(name, "gauge", "Calls that are queued, and calls that are running.", numbers)
    _, oldest = found.get(CallState.QUEUED, (0, now))
    age = [("windlass_queue_age_seconds", (), max((now - oldest).total_seconds(), 0.0))]
    meaning = "Age of the oldest queued call that no freeze window holds back; 0 if there is none."
    yield render_metric("windlass_queue_age_seconds", "gauge", meaning, age)


def render_clusters(clusters: Iterable[Cluster], now: datetime) -> Iterable[str]:
    reachable, ages = [], []
    for cluster in clusters:
        labels = (("cluster", cluster.name),)
        reachable.append(("windlass_cluster_reachable", labels, float(cluster.status == Cluster.Status.REACHABLE)))
        age = (now - (cluster.synced_at or cluster.created_at)).total_seconds()
        ages.append(("windlass_cluster_sync_age_seconds", labels, max(age, 0.0)))
    yield render_metric("windlass_cluster_reachable", "gauge", "1 if the cluster's engine answers, else 0.", reachable)
    yield render_metric(
        "windlass_cluster_sync_age_seconds", "gauge", "Time since the inventory was last synced with the engine.", ages
    )


# Name, help, and what is measured of the processes of one part.
PROCESS_GAUGES: tuple[tuple[str, str, Callable[[list[Process]], float]], ...] = (
    ("windlass_processes", "Processes seen in the last 60 s.", len),
    (
        "windlass_processes_resident_memory_bytes",
        "Sum of their resident memory.",
        lambda processes: sum(process.resident_bytes for process in processes),
    ),
    (
        "windlass_processes_silent",
        "Of them, those with a thread that gives no sign of life.",
        lambda processes: sum(bool(process.silent) for process in processes),
    ),
)


def render_processes() -> Iterable[str]:
    processes = list_processes()
    for name, help_text, measure in PROCESS_GAUGES:
        values = [(part, measure([process for process in processes if process.part == part])) for part in PARTS]
        yield render_metric(name, "gauge", help_text, [(name, (("part", part),), value) for part, value in values])
    for name, kind, help_text, value in read_process():
        yield render_metric(name, kind, help_text, [(name, (), value)])


def read_process() -> Iterable[tuple[str, str, str, float]]:
    """Yield name, kind, help and value of this process's metrics, under the names that all exporters use."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    yield "process_cpu_seconds_total", "counter", "User and system CPU time.", usage.ru_utime + usage.ru_stime
    yield "process_resident_memory_bytes", "gauge", "Resident memory.", read_resident_bytes()
    yield "process_start_time_seconds", "gauge", "Start time as Unix time.", read_start_time()
    yield "process_open_fds", "gauge", "Open file descriptors.", len(os.listdir("/proc/self/fd"))
    yield "process_max_fds", "gauge", "Maximum number of open file descriptors.", resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def read_start_time() -> float:
    """Return this process's start as Unix time: field 22 of proc(5)'s stat, in clock ticks since `btime` of /proc/stat."""
    ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
    boot = next(line for line in Path("/proc/stat").read_text(encoding="ascii").splitlines() if line.startswith("btime "))
    return int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")


def render_metric(name: str, kind: str, help_text: str, samples: Samples) -> str:
    lines = [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
    lines.extend(f"{sample}{render_labels(labels)} {render_number(value)}" for sample, labels, value in samples)
    return "\n".join(lines) + "\n"


def render_labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{escape(value)}"' for name, value in labels) + "}" if labels else ""


def escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def render_number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(round(value, 6))

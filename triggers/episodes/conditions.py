"""The conditions of engines that are reported: a cluster that does not answer, and containers or tasks that keep failing."""

from collections.abc import Collection, Mapping
from datetime import timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet

from clusters.models import Application, Cluster, Container
from clusters.selectors import without_keys
from triggers.episodes.tracking import Condition
from triggers.models import Episode, News, TriggerCall
from triggers.notifications.outbox import record_news
from triggers.selectors import only_active

RESTARTING = Q(state="restarting")
FAILING = RESTARTING | Q(health="unhealthy")
SWARM = (Application.Source.STACK, Application.Source.SERVICE)


class ClusterAway(Condition[Cluster]):
    """A cluster's engine does not answer. It is seen from the rows of the watcher that holds the cluster."""

    kind = Episode.Kind.CLUSTER
    patience = timedelta(minutes=3)

    def find_lasting(self) -> Mapping[str, Cluster]:
        rows = without_keys(Cluster.objects.filter(status=Cluster.Status.UNREACHABLE), path="")
        return {str(row.pk): row for row in rows}

    def find_ended(self, subjects: Collection[str]) -> Mapping[str, Cluster | None]:
        known = {str(row.pk): row for row in without_keys(Cluster.objects.filter(pk__in=subjects), path="")}
        gone = dict.fromkeys(subject for subject in subjects if subject not in known)
        return gone | {subject: row for subject, row in known.items() if row.status == Cluster.Status.REACHABLE}

    def report_begin(self, row: Cluster) -> None:
        since = f" since {row.status_changed_at:%Y-%m-%d %H:%M} UTC" if row.status_changed_at else ""
        sentence = f"{row.name} has not answered{since}. {row.status_reason}".strip()
        record_news(News.CLUSTER_AWAY, cluster=row, facts={"sentence": sentence})

    def report_end(self, row: Cluster) -> None:
        record_news(News.CLUSTER_BACK, cluster=row, facts={"sentence": f"{row.name} answers again."})


class ApplicationFailing(Condition[Application]):
    """Containers keep restarting or are unhealthy, or a Swarm cannot run as many tasks as wanted, and no call is under way.

    Between two restarts a container runs for a moment, so an end counts only after some calm: an engine waits up to a minute
    before it restarts a container that keeps failing."""

    kind = Episode.Kind.APPLICATION
    patience = timedelta(minutes=3)
    calm = timedelta(minutes=2)

    def find_lasting(self) -> Mapping[str, Application]:
        return {str(row.pk): row for row in find_failing_applications(_judgeable())}

    def find_ended(self, subjects: Collection[str]) -> Mapping[str, Application | None]:
        known = set(map(str, Application.objects.filter(pk__in=subjects).values_list("pk", flat=True)))
        gone = dict.fromkeys(subject for subject in subjects if subject not in known)
        rows = _judgeable().filter(pk__in=subjects)
        healthy = {str(row.pk): row if row.status == Application.Status.RUNNING else None for row in rows}
        return gone | healthy

    def report_begin(self, row: Application) -> None:
        record_news(News.CRASHING, application=row, facts={"sentence": describe_failing(row)})

    def report_end(self, row: Application) -> None:
        sentence = f"{row.name} on {row.cluster} has been healthy for 2 min: {row.running} of {row.wanted} run."
        record_news(News.WORKS_AGAIN, application=row, facts={"sentence": sentence})


def find_failing_applications(rows: QuerySet[Application]) -> QuerySet[Application]:
    """Keep applications with a container that restarts or is unhealthy, and those of a Swarm with too few tasks. Annotates
    `restarts`: a container is restarting."""
    containers = Container.objects.filter(service__application=OuterRef("pk"))
    short = Q(source__in=SWARM, status=Application.Status.DEGRADED)
    annotated = rows.annotate(restarts=Exists(containers.filter(RESTARTING)))
    return annotated.filter(short | Q(Exists(containers.filter(FAILING))))


def describe_failing(row: Application) -> str:
    """Say what is wrong with a row of `find_failing_applications`, as a sentence."""
    place = f"{row.name} on {row.cluster}"
    counted = f"{row.running} of {row.wanted} run."
    if row.is_swarm:
        return f"{place} has had too few tasks for 3 min: {counted}"
    what = "keeps restarting" if row.restarts else "is unhealthy"  # type: ignore[attr-defined]
    return f"A container of {place} {what}: {counted}"


def _judgeable() -> QuerySet[Application]:
    """Select applications of clusters that answer, without those that a call changes now."""
    busy = list(only_active(TriggerCall.objects.order_by()).values_list("application_id", flat=True))
    return without_keys(Application.objects.filter(cluster__status=Cluster.Status.REACHABLE).exclude(pk__in=busy))

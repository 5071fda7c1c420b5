"""Whose turn it is: the applications whose calls wait while nobody works at them."""

from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, Min, OuterRef, Q, QuerySet
from django.utils import timezone

from clusters.models import Application
from triggers.calls import nudges
from triggers.models import CallState, TriggerCall
from triggers.run.claim import count_running_calls
from triggers.run.held import refresh_held_calls
from triggers.run.lease import is_held
from triggers.selectors import only_active

UNTAKEN_AFTER = timedelta(seconds=5)  # a queued call that nobody took for this long is nudged again


def nudge_next_applications(application: Application) -> None:
    """Nudge what can run in the place of a call that has ended: first the application of the cluster that has waited longest,
    and last the one whose call has ended. So a busy application takes turns with others where the cluster is full."""
    cluster_id = application.cluster_id
    waiting = [found for found, _ in _find_idle_applications(TriggerCall.objects.filter(application__cluster=cluster_id))]
    own = [application.pk] if application.pk in waiting else []
    others = [found for found in waiting if found != application.pk]
    for found in [*others, *own][: _count_useful_nudges(cluster_id)]:
        nudges.publish_nudge(found)


def sweep_calls() -> int:
    """Nudge what nobody works at: idle applications with queued calls that no freeze window holds back, as many of a cluster as
    can run now, and running calls whose lease ran out. Return the number of nudges."""
    refresh_held_calls()
    just_queued = Q(state=CallState.QUEUED, queued_at__gte=timezone.now() - UNTAKEN_AFTER)
    by_cluster: dict[int, list[int]] = {}
    for application_id, cluster_id in _find_idle_applications(TriggerCall.objects.exclude(just_queued)):
        by_cluster.setdefault(cluster_id, []).append(application_id)
    chosen = [found for cluster_id, waiting in by_cluster.items() for found in waiting[: _count_useful_nudges(cluster_id)]]
    for application_id in chosen:
        nudges.publish_nudge(application_id)
    return len(chosen)


def _find_idle_applications(calls: QuerySet[TriggerCall]) -> Iterable[tuple[int, int]]:
    """Return the ids of applications, each with its cluster's, where some of the calls wait while nobody works at them. The
    one that has waited longest is first."""
    leading = Q(state=CallState.RUNNING, merged_into__isnull=True)
    busy = TriggerCall.objects.filter(leading, is_held(), application_id=OuterRef("application_id"))
    free = Q(held_until__isnull=True) | Q(held_until__lte=timezone.now())
    waiting = Q(state=CallState.QUEUED) & free | (leading & ~is_held())
    idle = only_active(calls.order_by()).filter(waiting).exclude(Exists(busy))
    found = idle.values_list("application_id", "application__cluster_id").annotate(oldest=Min("queued_at")).order_by("oldest")
    return [(application_id, cluster_id) for application_id, cluster_id, _ in found]


def _count_useful_nudges(cluster_id: int) -> int:
    """Return at least 1: in a full cluster, a call whose worker was lost can be taken over."""
    return max(settings.CLUSTER_CALLS - count_running_calls(cluster_id), 1)

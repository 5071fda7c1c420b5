"""The overview: problems first, then clusters, running calls, and the calls of the last day."""

from datetime import timedelta

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from clusters.models import Application, Cluster, Container, Node
from clusters.selectors import without_keys
from console.pages.overview.call_chart import chart_calls
from console.pages.overview.ending_triggers import list_ending_triggers, with_ending_trigger
from console.pages.shared.cluster_rows import nodes_with_cluster, summarize_clusters
from console.pages.shared.page import console_page, list_visible, render_page
from console.pages.shared.selection import ClusterSelection, select_cluster
from console.pages.shared.visible_calls import find_called_applications, list_visible_calls
from triggers.models import CallState, Trigger, TriggerCall
from triggers.selectors import calls_with_relations, only_active

SHOWN = 10  # rows of each kind
MOST_CALLED = 5  # applications
DAY = timedelta(days=1)
BROKEN = (CallState.FAILED, CallState.ROLLED_BACK)


@require_safe
@console_page
def overview(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    selection = select_cluster(request, with_ending_trigger(summarize_clusters(), now))
    calls = list_visible_calls(request, calls_with_relations())
    chart = chart_calls(find_called_applications(request), now)
    context = {
        "title": "Overview",
        "cluster_filter": True,
        "has_clusters": bool(selection.clusters),
        "unreachable": _list_unreachable(selection),
        "noticed": [cluster for cluster in _list_clusters(selection) if cluster.swarm_notice],
        "lost_nodes": list_visible(request, nodes_with_cluster()).exclude(state=Node.State.READY)[:SHOWN],
        "short_applications": list_visible(request, _find_short_applications())[:SHOWN],
        "broken_calls": _find_unmended_calls(request)[:SHOWN],
        "ending_triggers": list_ending_triggers(request, _list_clusters(selection), now),
        "clusters": _list_clusters(selection),
        "running": only_active(calls)[:SHOWN],
        "chart": chart,
        "is_new": not chart.total and not list_visible(request, Trigger.objects.all()).exists(),
        "most_called": _list_most_called(request),
    }
    return render_page(request, "console/overview/overview.html", context, target="overview")


def _list_clusters(selection: ClusterSelection) -> list[Cluster]:
    return [selection.selected] if selection.selected else selection.clusters


def _list_unreachable(selection: ClusterSelection) -> list[Cluster]:
    return [cluster for cluster in _list_clusters(selection) if cluster.status == Cluster.Status.UNREACHABLE]


def _find_short_applications() -> QuerySet[Application]:
    """Select applications of which not all runs, or is healthy; also those that only have a container that keeps restarting."""
    restarting = Container.objects.filter(state="restarting").values("service__application")
    short = Q(status=Application.Status.DEGRADED) | Q(pk__in=restarting, status=Application.Status.STOPPED)
    return without_keys(Application.objects.filter(short))


def _find_unmended_calls(request: HttpRequest) -> QuerySet[TriggerCall]:
    """Select the failed and rolled-back calls of the last day that no later call of their application has put right."""
    since = timezone.now() - DAY
    ended = TriggerCall.objects.filter(
        application=OuterRef("pk"), state__in=(CallState.SUCCEEDED, *BROKEN), queued_at__gte=since
    )
    seen = find_called_applications(request)
    applications = Application.objects.order_by() if seen is None else seen
    newest = applications.annotate(newest=Subquery(ended.order_by("-queued_at").values("pk")[:1])).values("newest")
    return calls_with_relations().filter(pk__in=newest, state__in=BROKEN, queued_at__gte=since)


def _list_most_called(request: HttpRequest) -> list[Application]:
    """List the applications with most calls in the last day, with `call_count` and `broken_count`. None is without calls."""
    counted = without_keys(Application.objects.all()).annotate(
        call_count=_count_calls(*CallState) + _sum_repeated(), broken_count=_count_calls(*BROKEN)
    )
    counted = counted.order_by("-call_count", "name")
    return [application for application in list_visible(request, counted)[:MOST_CALLED] if application.call_count]


def _count_calls(*states: CallState) -> Coalesce:
    """Count the calls of the last day in a subquery.

    The index on application, state and time answers it alone, as long as the states are named and no other column is read.
    """
    calls = TriggerCall.objects.filter(application=OuterRef("pk"), state__in=states, queued_at__gte=timezone.now() - DAY)
    return Coalesce(Subquery(calls.order_by().values("application").annotate(number=Count("*")).values("number")), 0)


def _sum_repeated() -> Coalesce:
    """Sum up the rejected calls of the last day that have no row of their own (triggers.calls.rejections)."""
    since = timezone.now() - DAY
    calls = TriggerCall.objects.filter(application=OuterRef("pk"), state=CallState.REJECTED, queued_at__gte=since)
    return Coalesce(Subquery(calls.order_by().values("application").annotate(number=Sum("repeated")).values("number")), 0)

"""Querysets of clusters and nodes for lists, with counts and without the clusters' TLS keys."""

from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from clusters.models import Application, Cluster, Node
from clusters.selectors import without_keys


def summarize_clusters() -> QuerySet[Cluster]:
    """Select clusters with the numbers of their applications, containers, tasks and nodes, and how many of those run."""
    present = ~Q(applications__status=Application.Status.ABSENT)
    swarm = Q(applications__source__in=(Application.Source.STACK, Application.Source.SERVICE))
    return without_keys(Cluster.objects.all(), path="").annotate(
        application_count=Count("applications", filter=present),
        containers_running=Sum("applications__running", filter=present & ~swarm, default=0),
        containers_wanted=Sum("applications__wanted", filter=present & ~swarm, default=0),
        tasks_running=Sum("applications__running", filter=present & swarm, default=0),
        tasks_wanted=Sum("applications__wanted", filter=present & swarm, default=0),
        node_count=_count_nodes(),
        nodes_ready=_count_nodes(state=Node.State.READY),
    )


def nodes_with_cluster() -> QuerySet[Node]:
    return without_keys(Node.objects.all())


def _count_nodes(**wanted: Any) -> Coalesce:
    """Count nodes in a subquery: a join would multiply the other counts."""
    nodes = Node.objects.filter(cluster=OuterRef("pk"), **wanted).order_by().values("cluster")
    return Coalesce(Subquery(nodes.annotate(number=Count("pk")).values("number")), 0)

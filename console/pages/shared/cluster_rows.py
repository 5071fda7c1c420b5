"""Clusters and nodes with what lists show of them, and without the clusters' TLS keys."""

from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from clusters.models import Application, Cluster, Node


def summarize_clusters() -> QuerySet[Cluster]:
    """Clusters with how many of everything they have and how many of it run, and without their keys."""
    present = ~Q(applications__status=Application.Status.ABSENT)
    swarm = Q(applications__source__in=(Application.Source.STACK, Application.Source.SERVICE))
    return Cluster.objects.defer(*Cluster.KEYS).annotate(
        application_count=Count("applications", filter=present),
        containers_running=Sum("applications__running", filter=present & ~swarm, default=0),
        containers_wanted=Sum("applications__wanted", filter=present & ~swarm, default=0),
        tasks_running=Sum("applications__running", filter=present & swarm, default=0),
        tasks_wanted=Sum("applications__wanted", filter=present & swarm, default=0),
        node_count=_count_nodes(),
        nodes_ready=_count_nodes(state=Node.State.READY),
    )


def nodes_with_cluster() -> QuerySet[Node]:
    return Node.objects.select_related("cluster").defer(*(f"cluster__{name}" for name in Cluster.KEYS))


def _count_nodes(**wanted: Any) -> Coalesce:
    """In a query of its own: a join would multiply the other counts."""
    nodes = Node.objects.filter(cluster=OuterRef("pk"), **wanted).order_by().values("cluster")
    return Coalesce(Subquery(nodes.annotate(number=Count("pk")).values("number")), 0)

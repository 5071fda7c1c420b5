"""The cluster that the console is seen through: `?cluster=<uid>` in the address, remembered in the session."""

from dataclasses import dataclass

from django.http import HttpRequest

from clusters.access import visible_clusters
from clusters.models import Cluster

ALL = "all"


@dataclass(frozen=True)
class ClusterSelection:
    """Every cluster that the reader may see, and the selected one; None: all of them."""

    clusters: list[Cluster]
    selected: Cluster | None


def select_cluster(request: HttpRequest) -> ClusterSelection:
    """Read once a request. `?cluster=all` forgets the selection; one that is gone counts as all."""
    known: ClusterSelection | None = getattr(request, "cluster_selection", None)
    if known is None:
        clusters = list(visible_clusters(request.user).defer("tls_ca", "tls_cert", "tls_key"))
        known = ClusterSelection(clusters, _find_selected(request, clusters))
        request.cluster_selection = known  # type: ignore[attr-defined]
    return known


def _find_selected(request: HttpRequest, clusters: list[Cluster]) -> Cluster | None:
    remembered = request.session.get("cluster", ALL)
    uid = request.GET.get("cluster") or remembered
    selected = next((cluster for cluster in clusters if cluster.uid == uid), None)
    wanted = selected.uid if selected else ALL
    if wanted != remembered:
        request.session["cluster"] = wanted
    return selected

"""The cluster that the console is seen through: `?cluster=<uid>` in the address, remembered in a cookie, at no query."""

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from clusters.access import list_visible_clusters, scope_visible
from clusters.models import Cluster

ALL = "all"
COOKIE = "windlass_cluster"


@dataclass(frozen=True)
class ClusterSelection:
    """Every cluster that the reader may see, and the selected one; None: all of them."""

    clusters: list[Cluster]
    selected: Cluster | None

    @property
    def word(self) -> str:
        """As it stands in an address."""
        return self.selected.uid if self.selected else ALL

    @property
    def is_mixed(self) -> bool:
        """Whether rows of several clusters may stand in one list."""
        return self.selected is None and len(self.clusters) > 1


def select_cluster(request: HttpRequest, rows: QuerySet[Cluster] | None = None) -> ClusterSelection:
    """Read once a request. `?cluster=all` forgets the selection; one that is gone counts as all. A poll remembers nothing: a
    page in another tab goes on with its own cluster.

    `rows`: clusters with what a page shows of them besides, by who asks first."""
    known: ClusterSelection | None = getattr(request, "cluster_selection", None)
    if known is None:
        clusters = list_visible_clusters(request.user) if rows is None else list(scope_visible(rows, request.user))
        known = ClusterSelection(clusters, _find_selected(request, clusters))
        request.cluster_selection = known  # type: ignore[attr-defined]
    return known


def _find_selected(request: HttpRequest, clusters: list[Cluster]) -> Cluster | None:
    remembered = request.COOKIES.get(COOKIE, ALL)
    uid = request.GET.get("cluster") or remembered
    selected = next((cluster for cluster in clusters if cluster.uid == uid), None)
    wanted = selected.uid if selected else ALL
    if wanted != remembered and not getattr(request, "htmx", False):
        request.cluster_to_remember = wanted  # type: ignore[attr-defined]
    return selected


class RememberCluster:
    """Middleware: the answer to a request that chose another cluster says so."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if chosen := getattr(request, "cluster_to_remember", ""):
            response.set_cookie(COOKIE, chosen, secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Lax")
        return response

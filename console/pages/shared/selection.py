"""The selected cluster: `?cluster=<uid>` in the address, remembered in a cookie, without a query of its own."""

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from clusters.access import list_visible_clusters, scope_visible
from clusters.models import Cluster
from console.pages.shared.natural_order import natural_key

ALL = "all"
COOKIE = "windlass_cluster"


@dataclass(frozen=True)
class ClusterSelection:
    """The clusters that the reader can see, and the selected one; None means all of them."""

    clusters: list[Cluster]
    selected: Cluster | None

    @property
    def word(self) -> str:
        """The selection as the address has it."""
        return self.selected.uid if self.selected else ALL

    @property
    def is_mixed(self) -> bool:
        """True if a list can hold rows of several clusters."""
        return self.selected is None and len(self.clusters) > 1


def select_cluster(request: HttpRequest, rows: QuerySet[Cluster] | None = None) -> ClusterSelection:
    """Return the selection, read once per request.

    `?cluster=all` clears the selection; a cluster that no longer exists counts as all. A poll does not store the selection, so
    that a page in another tab keeps its own cluster. `rows` are clusters with annotations that a page needs; only the first
    call of a request can give them."""
    known: ClusterSelection | None = getattr(request, "cluster_selection", None)
    if known is None:
        clusters = list_visible_clusters(request.user) if rows is None else list(scope_visible(rows, request.user))
        clusters.sort(key=lambda cluster: natural_key(cluster.name))
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
    """Middleware that stores a newly selected cluster in the cookie."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if chosen := getattr(request, "cluster_to_remember", ""):
            response.set_cookie(COOKIE, chosen, secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Lax")
        return response

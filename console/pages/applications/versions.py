"""Which version runs where: a row for each service of an application, a column for each cluster."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from clusters.models import Application, Cluster, Service
from clusters.selectors import without_keys
from console.pages.shared.image_history.comparison import make_comparison_url
from console.pages.shared.image_history.described import ShownImage, show_service
from console.pages.shared.page import console_page, list_visible, paginate, read_query, render_page
from console.pages.shared.selection import select_cluster


@dataclass(frozen=True)
class RunningVersion:
    """What a service runs on a cluster."""

    service: Service
    image: ShownImage


@dataclass(frozen=True)
class VersionRow:
    """`cells` are in the order of the clusters. `differs`: not all of them run the same image. `compare_url` leads to what
    changed from the oldest to the newest of them."""

    application: str
    service: str
    cells: list[list[RunningVersion]]
    differs: bool = False
    compare_url: str = ""


@require_safe
@console_page
def versions(request: HttpRequest) -> HttpResponse:
    query = read_query(request, "q")
    rows = without_keys(list_visible(request, Service.objects.all()), "application__cluster")
    rows = rows.exclude(status=Application.Status.ABSENT).exclude(application__system=True)
    if query:
        rows = rows.filter(Q(name__icontains=query) | Q(application__name__icontains=query) | Q(image__icontains=query))
    services = list(rows.order_by("application__name", "name", "application__cluster__name", "pk"))
    clusters = list_clusters(services)
    page = paginate(request, group_services(services))
    context: dict[str, Any] = {
        "title": "Versions",
        "cluster_filter": True,
        "selection": select_cluster(request),
        "query": query,
        "clusters": clusters,
        "page": page,
        "rows": [make_row(names, found, clusters) for names, found in page.object_list],
    }
    return render_page(request, "console/applications/versions.html", context)


def list_clusters(services: Iterable[Service]) -> list[Cluster]:
    found = {service.application.cluster_id: service.application.cluster for service in services}
    return sorted(found.values(), key=lambda cluster: (cluster.name, cluster.pk))


def group_services(services: Iterable[Service]) -> list[tuple[tuple[str, str], list[Service]]]:
    """Return the services of all clusters by the names of application and service, in the order given."""
    groups: dict[tuple[str, str], list[Service]] = defaultdict(list)
    for service in services:
        groups[service.application.name, service.name].append(service)
    return list(groups.items())


def make_row(names: tuple[str, str], found: Sequence[Service], clusters: Iterable[Cluster]) -> VersionRow:
    shown = [RunningVersion(row, show_service(row)) for row in found]
    cells = [[item for item in shown if item.service.application.cluster_id == cluster.pk] for cluster in clusters]
    known = [row.image_facts for row in found if row.image_facts and {"created", "revision"} <= row.image_facts.keys()]
    known.sort(key=lambda facts: facts["created"])  # all in UTC
    url = make_comparison_url(known[0], known[-1]) if known else ""
    return VersionRow(*names, cells, len({item.image.key for item in shown}) > 1, url)

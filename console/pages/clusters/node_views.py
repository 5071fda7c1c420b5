"""Nodes of Swarms: the list, and one node with its tasks."""

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from console.pages.shared.cluster_rows import nodes_with_cluster
from console.pages.shared.natural_order import NaturalOrder, natural_key
from console.pages.shared.page import console_page, get_visible, is_partial, list_visible, paginate, read_query, render_page
from console.pages.shared.selection import select_cluster
from console.pages.shared.slots import tasks_with_nodes

EARLIER_SHOWN = 25  # ended tasks


@require_safe
@console_page
def nodes(request: HttpRequest) -> HttpResponse:
    query = read_query(request, "q")
    rows = list_visible(request, nodes_with_cluster())
    if query:
        rows = rows.filter(Q(hostname__icontains=query) | Q(address__icontains=query))
    context = {
        "title": "Nodes",
        "cluster_filter": True,
        "selection": select_cluster(request),
        "query": query,
        "page": paginate(request, rows.order_by(NaturalOrder("cluster__name"), NaturalOrder("hostname"), "pk")),
    }
    return render_page(request, "console/clusters/nodes.html", context)


@require_safe
@console_page
def node(request: HttpRequest, node_id: int) -> HttpResponse:
    shown = get_visible(request, nodes_with_cluster(), pk=node_id)
    tasks = tasks_with_nodes().filter(service__application__cluster=shown.cluster, node_id=shown.node_id)
    tasks = tasks.select_related("service__application").order_by("-updated_at")
    present = [task for task in tasks if task.is_present]
    present.sort(key=lambda task: (natural_key(task.service.application.name), natural_key(task.service.name), task.slot))
    context = {
        "title": shown.hostname,
        "crumbs": [("Nodes", reverse("nodes"))],
        "node": shown,
        "cluster": shown.cluster,
        "page": paginate(request, present),
        "earlier": [task for task in tasks if not task.is_present][:EARLIER_SHOWN],
    }
    return render(
        request, "console/clusters/_node_state.html" if is_partial(request, "state") else "console/clusters/node.html", context
    )

"""Clusters: the list, one cluster, and adding, editing, testing and deleting one."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clusters import connection_check
from clusters.access import CHOOSE_ENGINES, scope_visible
from clusters.access.audit import record_act, record_addition, record_change
from clusters.access.changes import read_stored_values
from clusters.allowances import note_registries
from clusters.engine.connection.client import EngineClient
from clusters.engine.errors import EngineError
from clusters.engine.inspection.disk_usage import read_disk_usage
from clusters.engine.inspection.engine_setup import read_engine_setup
from clusters.engine.inspection.past_events import read_past_events
from clusters.forms import ClusterForm
from clusters.models import Application, Cluster, Node
from clusters.selectors import without_keys
from console.pages.clusters.same_engine import list_same_engine, mark_same_engines
from console.pages.shared.cluster_rows import summarize_clusters
from console.pages.shared.live import open_engine
from console.pages.shared.natural_order import NaturalOrder
from console.pages.shared.page import (
    console_page,
    get_visible,
    is_partial,
    read_tab,
    redirect_to,
    render_dialog,
    render_page,
    require,
)
from console.process.local_engine import find_local_engine, make_local_form
from triggers.models import Trigger, TriggerCall

TESTED_FIELDS = ("url", "other_urls", "tls_ca", "tls_cert", "tls_key")
NODES_SHOWN = 50  # on the cluster's page; the page of nodes has all of them
LOST_SHOWN = 5
PIECES = {"cluster-overview": "_cluster_overview", "state": "_cluster_state"}
TAB_LABELS = {"engine": "Engine", "nodes": "Nodes", "disk": "Disk use", "events": "Events"}


@require_safe
@console_page
def clusters(request: HttpRequest) -> HttpResponse:
    rows = list(scope_visible(summarize_clusters(), request.user))
    mark_same_engines(rows)
    context = {"title": "Clusters", "clusters": rows}
    return render_page(request, "console/clusters/clusters.html", context)


@require_safe
@console_page
def cluster(request: HttpRequest, uid: str) -> HttpResponse:
    """Show a cluster; `?tab=` selects a tab. What is read from the engine is loaded afterwards, from an address of its own."""
    shown = get_visible(request, summarize_clusters(), uid=uid)
    return _render_cluster(request, shown, read_tab(request, list_tabs(shown)))


@require_safe
@console_page
def cluster_engine(request: HttpRequest, uid: str) -> HttpResponse:
    """Show how the engine is set up, as a piece of the cluster's page or with the whole page."""
    return _render_live(request, uid, "engine", lambda client: {"setup": read_engine_setup(client)})


@require_safe
@console_page
def cluster_disk(request: HttpRequest, uid: str) -> HttpResponse:
    """Show the disk use, which the engine measures first."""
    return _render_live(request, uid, "disk", lambda client: {"disk": read_disk_usage(client), "measured_at": timezone.now()})


@require_safe
@console_page
def cluster_events(request: HttpRequest, uid: str) -> HttpResponse:
    """Show the engine's recent events."""
    return _render_live(request, uid, "events", lambda client: {"past": read_past_events(client)})


def _render_live(request: HttpRequest, uid: str, tab: str, read: Callable[[EngineClient], dict[str, Any]]) -> HttpResponse:
    """Render the piece that htmx requests, or the whole page with it. `failure` says why the engine could not be read."""
    shown = get_visible(request, Cluster.objects.all(), uid=uid)
    live: dict[str, Any] = {"loaded": True}
    try:
        with open_engine(shown) as client:
            live |= read(client)
    except EngineError as error:
        live["failure"] = error.message
    if is_partial(request, tab):
        return render(request, f"console/clusters/_cluster_{tab}.html", {"cluster": shown, **live})
    return _render_cluster(request, get_visible(request, summarize_clusters(), uid=uid), tab, live)


def _render_cluster(request: HttpRequest, shown: Any, tab: str, live: dict[str, Any] | None = None) -> HttpResponse:
    """Render the cluster's page or one of its pieces. `shown` comes from `summarize_clusters`."""
    nodes = shown.nodes.order_by(NaturalOrder("hostname"), "node_id")
    context: dict[str, Any] = {
        "title": shown.name,
        "cluster": shown,
        "crumbs": _cluster_crumbs(),
        "tab": tab,
        "tabs": [(name, TAB_LABELS[name]) for name in list_tabs(shown)],
        "nodes": nodes[:NODES_SHOWN] if tab == "nodes" else (),
        "same_engine": list_same_engine(request.user, shown),
        "lost_nodes": nodes.exclude(state=Node.State.READY)[:LOST_SHOWN] if shown.nodes_ready < shown.node_count else (),
    }
    piece = next((name for target, name in PIECES.items() if is_partial(request, target)), "cluster")
    return render(request, f"console/clusters/{piece}.html", context | (live or {}))


def list_tabs(shown: Any) -> tuple[str, ...]:
    """Return the tabs of a cluster from `summarize_clusters`. Only a Swarm has nodes."""
    return ("engine", "nodes", "disk", "events") if shown.node_count else ("engine", "disk", "events")


@require_POST
@console_page
def cluster_local(request: HttpRequest) -> HttpResponse:
    """Add the engine on the console's own machine if it answers."""
    require(request, CHOOSE_ENGINES)
    url = find_local_engine()
    if not url:
        messages.error(request, "No Docker engine answers on this machine now. Enter the address of one.")
        return redirect_to(request, "cluster_create")
    form = make_local_form(url, request.user)
    result = _test_cluster_form(form)
    if "error" in result or not form.is_valid():
        return _render_cluster_form(request, form, "Add cluster", result=result)
    return _add_cluster(request, form)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def cluster_create(request: HttpRequest) -> HttpResponse:
    require(request, CHOOSE_ENGINES)
    form = ClusterForm(request.POST if request.method == "POST" else None, user=request.user)
    if request.method == "POST" and form.is_valid():
        return _add_cluster(request, form)
    return _render_cluster_form(request, form, "Add cluster")


def _add_cluster(request: HttpRequest, form: ClusterForm) -> HttpResponse:
    with transaction.atomic():
        added = form.save()
        record_addition(request, "cluster.add", added, form.fields, **note_registries(added))
    messages.success(request, f"{added} was added. What runs there appears within seconds.")
    return redirect_to(request, "cluster", added.uid)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def cluster_edit(request: HttpRequest, uid: str) -> HttpResponse:
    shown = get_visible(request, Cluster.objects.all(), uid=uid)
    require(request, "clusters.change_cluster", shown)
    form = ClusterForm(request.POST if request.method == "POST" else None, instance=shown, user=request.user)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            before = read_stored_values(shown, form.fields)
            saved = form.save()
            record_change(request, "cluster.change", saved, before, **note_registries(saved, form.changed_data))
        messages.success(request, f"{saved} was saved.")
        return redirect_to(request, "cluster", saved.uid)
    return _render_cluster_form(request, form, "Edit cluster", shown.uid)


@require_POST
@console_page
def cluster_test(request: HttpRequest) -> HttpResponse:
    """Test the connection that the form describes, without saving. With `?edited=<uid>` an empty key means the stored one.

    Whoever may not choose engines is refused before anything is read or connected."""
    require(request, CHOOSE_ENGINES)
    uid = request.GET.get("edited", "")
    edited = get_visible(request, Cluster.objects.all(), uid=uid) if uid else None
    form = ClusterForm(request.POST, instance=edited, user=request.user)
    result = _test_cluster_form(form)
    if is_partial(request, "test-result"):
        return render(request, "console/clusters/_test_result.html", {"result": result})
    return _render_cluster_form(request, form, "Edit cluster" if uid else "Add cluster", uid, result=result)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def cluster_delete(request: HttpRequest, uid: str) -> HttpResponse:
    """Delete a cluster once its name is typed: its applications, triggers and calls are deleted with it."""
    shown = get_visible(request, without_keys(Cluster.objects.all(), path=""), uid=uid)
    require(request, "clusters.delete_cluster", shown)
    typed = request.POST.get("name", "").strip()
    if request.method == "POST" and typed == shown.name:
        with transaction.atomic():
            record_act(request, "cluster.delete", shown)
            shown.delete()
        messages.success(request, f"{shown} was deleted from the console. Nothing on its engine was changed.")
        return redirect_to(request, "clusters")
    context = {
        "title": "Delete cluster",
        "cluster": shown,
        "typed": typed,
        "wrong": request.method == "POST",
        "application_count": Application.objects.filter(cluster=shown).count(),
        "trigger_count": Trigger.objects.filter(application__cluster=shown).count(),
        "call_count": TriggerCall.objects.filter(application__cluster=shown).count(),
        "crumbs": [*_cluster_crumbs(), (shown.name, reverse("cluster", args=[shown.uid]))],
    }
    return render_dialog(request, "console/clusters/_cluster_delete.html", context)


def _test_cluster_form(form: ClusterForm) -> dict[str, Any]:
    """Return `facts` of the engine, or `error`: the exact reason why it could not be reached."""
    form.is_valid()
    wrong = [str(error) for name in TESTED_FIELDS for error in form.errors.get(name, [])]
    if wrong:
        return {"error": " ".join(wrong)}
    try:
        return {"facts": connection_check.check_connection(form.instance.endpoint)}
    except EngineError as error:
        return {"error": error.message}


def _render_cluster_form(request: HttpRequest, form: ClusterForm, title: str, uid: str = "", **extra: Any) -> HttpResponse:
    context = {"title": title, "form": form, "uid": uid, "crumbs": _cluster_crumbs()}
    return render(request, "console/clusters/cluster_form.html", context | extra)


def _cluster_crumbs() -> list[tuple[str, str]]:
    return [("Clusters", reverse("clusters"))]

"""Clusters: the list, one cluster, adding, editing, testing and deleting it."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clusters import connection_check
from clusters.access import scope_visible
from clusters.access.audit import record_act
from clusters.engine.connection.client import EngineClient
from clusters.engine.errors import EngineError
from clusters.engine.inspection.disk_use import read_disk_use
from clusters.engine.inspection.engine_setup import read_setup
from clusters.engine.inspection.past_events import read_history
from clusters.forms import ClusterForm
from clusters.models import Application, Cluster, Node
from console.pages.shared.live import open_engine
from console.pages.shared.page import console_page, get_visible, is_partial, read_tab, redirect_to, render_dialog, require
from console.process.local_engine import find_local_engine, make_local_form
from triggers.models import Trigger, TriggerCall

TESTED_FIELDS = ("url", "other_urls", "tls_ca", "tls_cert", "tls_key")
NODES_SHOWN = 50  # on the cluster's page; the page of nodes has all
LOST_SHOWN = 5
PIECES = {"cluster-overview": "_cluster_overview", "state": "_cluster_state"}
TAB_LABELS = {"engine": "Engine", "nodes": "Nodes", "disk": "Disk use", "events": "Events"}


@require_safe
@console_page
def clusters(request: HttpRequest) -> HttpResponse:
    context = {"title": "Clusters", "clusters": scope_visible(summarize_clusters(), request.user)}
    return render(
        request, "console/clusters/_clusters.html" if is_partial(request, "list") else "console/clusters/clusters.html", context
    )


@require_safe
@console_page
def cluster(request: HttpRequest, uid: str) -> HttpResponse:
    """`?tab=` chooses the tab. What the engine has to be asked for comes after the page, from an address of its own."""
    shown = get_visible(request, summarize_clusters(), uid=uid)
    return _render_cluster(request, shown, read_tab(request, list_tabs(shown)))


@require_safe
@console_page
def cluster_engine(request: HttpRequest, uid: str) -> HttpResponse:
    """How the engine is set up: for the cluster's page, or within it."""
    return _render_live(request, uid, "engine", lambda client: {"setup": read_setup(client)})


@require_safe
@console_page
def cluster_disk(request: HttpRequest, uid: str) -> HttpResponse:
    """What its disk is used for. The engine measures first."""
    return _render_live(request, uid, "disk", lambda client: {"disk": read_disk_use(client), "measured_at": timezone.now()})


@require_safe
@console_page
def cluster_events(request: HttpRequest, uid: str) -> HttpResponse:
    """What happened there lately."""
    return _render_live(request, uid, "events", lambda client: {"events": read_history(client)})


def _render_live(request: HttpRequest, uid: str, tab: str, read: Callable[[EngineClient], dict[str, Any]]) -> HttpResponse:
    """The piece of a tab that htmx asks for, else the whole page with it. `failure`: why the engine could not be asked."""
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
    """`shown`: of summarize_clusters."""
    nodes = shown.nodes.order_by("hostname", "node_id")
    context: dict[str, Any] = {
        "title": shown.name,
        "cluster": shown,
        "crumbs": _crumbs(),
        "tab": tab,
        "tabs": [(name, TAB_LABELS[name]) for name in list_tabs(shown)],
        "nodes": nodes[:NODES_SHOWN] if tab == "nodes" else (),
        "lost_nodes": nodes.exclude(state=Node.State.READY)[:LOST_SHOWN] if shown.nodes_ready < shown.node_count else (),
    }
    piece = next((name for target, name in PIECES.items() if is_partial(request, target)), "cluster")
    return render(request, f"console/clusters/{piece}.html", context | (live or {}))


def list_tabs(shown: Any) -> tuple[str, ...]:
    """Of one of summarize_clusters. Only a Swarm has nodes."""
    return ("engine", "nodes", "disk", "events") if shown.node_count else ("engine", "disk", "events")


@require_POST
@console_page
def cluster_local(request: HttpRequest) -> HttpResponse:
    """Add the engine on the console's own machine, if it answers."""
    require(request, "clusters.add_cluster")
    url = find_local_engine()
    if not url:
        messages.error(request, "No Docker engine answers on this machine any more. Give the address of one.")
        return redirect_to(request, "cluster_create")
    form = make_local_form(url)
    result = _test_form(form)
    if "error" in result or not form.is_valid():
        return _render_form(request, form, "Add cluster", result=result)
    return _add_cluster(request, form)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def cluster_create(request: HttpRequest) -> HttpResponse:
    require(request, "clusters.add_cluster")
    form = ClusterForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        return _add_cluster(request, form)
    return _render_form(request, form, "Add cluster")


def _add_cluster(request: HttpRequest, form: ClusterForm) -> HttpResponse:
    with transaction.atomic():
        added = form.save()
        record_act(request, "cluster.add", added)
    messages.success(request, f"{added} is added. What runs there appears within seconds.")
    return redirect_to(request, "cluster", added.uid)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def cluster_edit(request: HttpRequest, uid: str) -> HttpResponse:
    shown = get_visible(request, Cluster.objects.all(), uid=uid)
    require(request, "clusters.change_cluster", shown)
    form = ClusterForm(request.POST if request.method == "POST" else None, instance=shown)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            saved = form.save()
            record_act(request, "cluster.change", saved, fields=form.changed_data)
        messages.success(request, f"{saved} is saved.")
        return redirect_to(request, "cluster", saved.uid)
    return _render_form(request, form, "Edit cluster", shown.uid)


@require_POST
@console_page
def cluster_test(request: HttpRequest) -> HttpResponse:
    """Try what the form holds, saving nothing. `?edited=<uid>` lets an empty key field mean the stored key."""
    uid = request.GET.get("edited", "")
    edited = get_visible(request, Cluster.objects.all(), uid=uid) if uid else None
    require(request, "clusters.change_cluster" if edited else "clusters.add_cluster", edited)
    form = ClusterForm(request.POST, instance=edited)
    result = _test_form(form)
    if is_partial(request, "test-result"):
        return render(request, "console/clusters/_test_result.html", {"result": result})
    return _render_form(request, form, "Edit cluster" if uid else "Add cluster", uid, result=result)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def cluster_delete(request: HttpRequest, uid: str) -> HttpResponse:
    """Asks for the cluster's name: its applications, triggers and calls go with it."""
    shown = get_visible(request, Cluster.objects.defer(*Cluster.KEYS), uid=uid)
    require(request, "clusters.delete_cluster", shown)
    typed = request.POST.get("name", "").strip()
    if request.method == "POST" and typed == shown.name:
        with transaction.atomic():
            record_act(request, "cluster.delete", shown)
            shown.delete()
        messages.success(request, f"{shown} is deleted from the console. Nothing was touched on its engine.")
        return redirect_to(request, "clusters")
    context = {
        "title": "Delete cluster",
        "cluster": shown,
        "typed": typed,
        "wrong": request.method == "POST",
        "application_count": Application.objects.filter(cluster=shown).count(),
        "trigger_count": Trigger.objects.filter(application__cluster=shown).count(),
        "call_count": TriggerCall.objects.filter(application__cluster=shown).count(),
        "crumbs": [*_crumbs(), (shown.name, reverse("cluster", args=[shown.uid]))],
    }
    return render_dialog(request, "console/clusters/_cluster_delete.html", context)


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


def _count_nodes(**wanted: Any) -> Coalesce:
    """In a query of its own: a join would multiply the other counts."""
    nodes = Node.objects.filter(cluster=OuterRef("pk"), **wanted).order_by().values("cluster")
    return Coalesce(Subquery(nodes.annotate(number=Count("pk")).values("number")), 0)


def _test_form(form: ClusterForm) -> dict[str, Any]:
    """`facts` of the engine, or `error`: the exact reason it could not be asked."""
    form.is_valid()
    wrong = [str(error) for name in TESTED_FIELDS for error in form.errors.get(name, [])]
    if wrong:
        return {"error": " ".join(wrong)}
    try:
        return {"facts": connection_check.check_connection(form.instance.endpoint)}
    except EngineError as error:
        return {"error": error.message}


def _render_form(request: HttpRequest, form: ClusterForm, title: str, uid: str = "", **extra: Any) -> HttpResponse:
    context = {"title": title, "form": form, "uid": uid, "crumbs": _crumbs()}
    return render(request, "console/clusters/cluster_form.html", context | extra)


def _crumbs() -> list[tuple[str, str]]:
    return [("Clusters", reverse("clusters"))]

"""Clusters: the list, one cluster, adding, editing, testing and deleting it."""

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clusters import inventory
from clusters.access import scope_visible
from clusters.audit import record_act
from clusters.engine.errors import EngineError
from clusters.forms import ClusterForm
from clusters.models import Application, Cluster, Node
from console.pages import console_page, get_visible, is_partial, redirect_to, render_dialog, require
from triggers.models import Trigger, TriggerCall

TESTED_FIELDS = ("url", "other_urls", "tls_ca", "tls_cert", "tls_key")
NODES_SHOWN = 50  # on the cluster's page; the page of nodes has all


@require_safe
@console_page
def clusters(request: HttpRequest) -> HttpResponse:
    context = {"title": "Clusters", "clusters": scope_visible(summarize_clusters(), request.user)}
    return render(request, "console/_clusters.html" if is_partial(request, "list") else "console/clusters.html", context)


@require_safe
@console_page
def cluster(request: HttpRequest, uid: str) -> HttpResponse:
    shown = get_visible(request, summarize_clusters(), uid=uid)
    context = {"title": shown.name, "cluster": shown, "crumbs": _crumbs(), "nodes": shown.nodes.all()[:NODES_SHOWN]}
    return render(request, "console/_cluster_state.html" if is_partial(request, "state") else "console/cluster.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def cluster_create(request: HttpRequest) -> HttpResponse:
    require(request, "clusters.add_cluster")
    form = ClusterForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            added = form.save()
            record_act(request, "cluster.add", added)
        messages.success(request, f"{added} is added. What runs there appears within seconds.")
        return redirect_to(request, "cluster", added.uid)
    return _render_form(request, form, "Add cluster")


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
        return render(request, "console/_test_result.html", {"result": result})
    return _render_form(request, form, "Edit cluster" if uid else "Add cluster", uid, result=result)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def cluster_delete(request: HttpRequest, uid: str) -> HttpResponse:
    """Asks for the cluster's name: its applications, triggers and calls go with it."""
    shown = get_visible(request, Cluster.objects.defer("tls_ca", "tls_cert", "tls_key"), uid=uid)
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
    return render_dialog(request, "console/_cluster_delete.html", context)


def summarize_clusters() -> QuerySet[Cluster]:
    """Clusters with how many of everything they have and how many of it run, and without their keys."""
    present = ~Q(applications__status=Application.Status.ABSENT)
    swarm = Q(applications__source__in=(Application.Source.STACK, Application.Source.SERVICE))
    return Cluster.objects.defer("tls_ca", "tls_cert", "tls_key").annotate(
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
        return {"facts": inventory.test_connection(form.instance.endpoint)}
    except EngineError as error:
        return {"error": error.message}


def _render_form(request: HttpRequest, form: ClusterForm, title: str, uid: str = "", **extra: Any) -> HttpResponse:
    context = {"title": title, "form": form, "uid": uid, "crumbs": _crumbs()}
    return render(request, "console/cluster_form.html", context | extra)


def _crumbs() -> list[tuple[str, str]]:
    return [("Clusters", reverse("clusters"))]

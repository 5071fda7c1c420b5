"""The freeze windows of applications and clusters: what their pages say about them, adding, editing and deleting one."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from clusters.models import Application, Cluster
from clusters.selectors import without_keys
from console.pages.shared.page import console_page, get_visible, is_partial, redirect_to, render_dialog, require
from triggers.freeze_changes import add_window, change_window, delete_window, permission_to_change
from triggers.freeze_forms import FreezeWindowForm
from triggers.freezes import explain_label, list_windows, read_label
from triggers.models import FreezeWindow
from triggers.timing.rules import REDEPLOY, SCALING, FreezeRule, find_freeze


@require_safe
@console_page
def application_freezes(request: HttpRequest, application_id: int) -> HttpResponse:
    """Show the windows that concern an application, and what is frozen now: as a piece of its page, or as a page."""
    application = get_visible(request, without_keys(Application.objects.all()), pk=application_id)
    windows = list_windows(application)
    rules = [window.rule for window in windows] + read_label(application.freeze_label)
    context = {
        "application": application,
        "freeze_label_problem": explain_label(application.freeze_label),
        "freezes_url": reverse("application_freezes", args=[application.pk]),
        "freeze_create_url": reverse("application_freeze_create", args=[application.pk]),
    }
    return _render_freezes(request, application, windows, rules, context)


@require_safe
@console_page
def cluster_freezes(request: HttpRequest, uid: str) -> HttpResponse:
    """Show the windows of a whole cluster, in the same two ways."""
    cluster = get_visible(request, without_keys(Cluster.objects.all(), path=""), uid=uid)
    windows = list(FreezeWindow.objects.filter(cluster=cluster, application=None))
    context = {
        "freezes_url": reverse("cluster_freezes", args=[cluster.uid]),
        "freeze_create_url": reverse("cluster_freeze_create", args=[cluster.uid]),
    }
    return _render_freezes(request, cluster, windows, [window.rule for window in windows], context)


def _render_freezes(
    request: HttpRequest,
    place: Application | Cluster,
    windows: list[FreezeWindow],
    rules: list[FreezeRule],
    context: dict[str, Any],
) -> HttpResponse:
    now = timezone.now()
    context |= {
        "title": "Freeze windows",
        "crumbs": _list_crumbs(place),
        "freeze_windows": windows,
        "freezes": [freeze for action in (REDEPLOY, SCALING) if (freeze := find_freeze(rules, action, now))],
        "can_change_freezes": request.user.has_perm(permission_to_change(place), place),
        "can_change_cluster_freezes": request.user.has_perm("clusters.change_cluster", place),
    }
    template = "_freezes" if is_partial(request, "freezes") else "freezes"
    return render(request, f"console/freezes/{template}.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def application_freeze_create(request: HttpRequest, application_id: int) -> HttpResponse:
    application = get_visible(request, without_keys(Application.objects.all()), pk=application_id)
    require(request, permission_to_change(application), application)
    return _edit_window(request, FreezeWindow(cluster=application.cluster, application=application), "Add freeze window")


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def cluster_freeze_create(request: HttpRequest, uid: str) -> HttpResponse:
    cluster = get_visible(request, without_keys(Cluster.objects.all(), path=""), uid=uid)
    require(request, permission_to_change(cluster), cluster)
    return _edit_window(request, FreezeWindow(cluster=cluster), "Add freeze window")


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def freeze_edit(request: HttpRequest, window_id: int) -> HttpResponse:
    return _edit_window(request, _get_window(request, window_id), "Edit freeze window")


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def freeze_delete(request: HttpRequest, window_id: int) -> HttpResponse:
    window = _get_window(request, window_id)
    if request.method == "POST":
        place, name = window.place, str(window)
        delete_window(request, window)
        messages.success(request, f"{name} was deleted. What waited for its end runs now, unless another window holds it back.")
        return _show_place(request, place)
    return _render(request, window, "_freeze_delete.html", "Delete freeze window")


def _get_window(request: HttpRequest, window_id: int) -> FreezeWindow:
    rows = without_keys(FreezeWindow.objects.select_related("application", "cluster"), path="cluster")
    window = get_visible(request, rows, pk=window_id)
    require(request, permission_to_change(window.place), window)
    return window


def _edit_window(request: HttpRequest, window: FreezeWindow, title: str) -> HttpResponse:
    form = FreezeWindowForm(request.POST if request.method == "POST" else None, instance=window)
    if request.method == "POST" and form.is_valid():
        window = form.save(commit=False)
        if window.pk:
            change_window(request, window)
        else:
            add_window(request, window)
        messages.success(request, f"{window} was saved: {window.written_times}.")
        return _show_place(request, window.place)
    return _render(request, window, "_freeze_form.html", title, form=form)


def _render(request: HttpRequest, window: FreezeWindow, template: str, title: str, **extra: object) -> HttpResponse:
    place = window.place
    context = {
        "title": title,
        "window": window,
        "place": place,
        "is_cluster": isinstance(place, Cluster),
        "back": _address_of(place),
        "crumbs": _list_crumbs(place),
    }
    return render_dialog(request, f"console/freezes/{template}", context | extra)


def _list_crumbs(place: Application | Cluster) -> list[tuple[str, str]]:
    lists = ("Clusters", reverse("clusters")) if isinstance(place, Cluster) else ("Applications", reverse("applications"))
    return [lists, (place.name, _address_of(place))]


def _address_of(place: Application | Cluster) -> str:
    return reverse("cluster", args=[place.uid]) if isinstance(place, Cluster) else reverse("application", args=[place.pk])


def _show_place(request: HttpRequest, place: Application | Cluster) -> HttpResponse:
    if isinstance(place, Cluster):
        return redirect_to(request, "cluster", place.uid)
    return redirect_to(request, "application", place.pk)

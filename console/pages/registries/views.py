"""Registries: the list, the page of one with its inbound link, and adding, editing, testing and deleting one."""

from collections import Counter
from copy import copy
from functools import reduce
from operator import or_
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import Count, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clusters import registries as registry_access
from clusters.access import scope_visible, visible_clusters
from clusters.access.audit import record_act, record_addition, record_change
from clusters.access.changes import read_stored_values
from clusters.allowances import is_plain, select_ways
from clusters.models import Registry
from clusters.registry.errors import RegistryError
from clusters.registry_form import TESTED_FIELDS, RegistryForm, list_hosts, propose_registry
from console.pages.registries.deliveries import list_newest
from console.pages.registries.sender_guides import MASK, build_inbound_link, build_inbound_secrets, list_setups
from console.pages.shared.natural_order import NaturalOrder
from console.pages.shared.page import (
    console_page,
    get_visible,
    is_partial,
    paginate,
    read_tab,
    redirect_to,
    render_dialog,
    require,
    return_from,
)
from triggers.models import Delivery, ImageSubscription
from triggers.selectors import public_base_url

SECRETS = ("password", "ca", "hook_token", "signing_secret")
TABS = {"deliveries": "Deliveries", "subscriptions": "Subscriptions"}
DELIVERIES_SHOWN = 20  # on the registry's page; Deliveries has all
SHOWN = "shown_registry"  # the session's key


@require_safe
@console_page
def registries(request: HttpRequest) -> HttpResponse:
    """List the registries. They belong to no cluster, so only a role for all clusters shows them."""
    require(request, "clusters.view_registry")
    newest = Delivery.objects.filter(registry=OuterRef("pk")).order_by("-received_at")
    rows = Registry.objects.defer(*SECRETS).annotate(
        delivered_at=Subquery(newest.values("received_at")[:1]), delivery_decision=Subquery(newest.values("decision")[:1])
    )
    clusters = select_ways(visible_clusters(request.user))
    page = paginate(
        request,
        rows.order_by(NaturalOrder("host")).prefetch_related(Prefetch("clusters", queryset=clusters, to_attr="allowed")),
    )
    describe_registries(request, page.object_list)
    context = {"title": "Registries", "page": page, "registries": page.object_list}
    return render(
        request,
        "console/registries/_registries.html" if is_partial(request, "list") else "console/registries/registries.html",
        context,
    )


@require_safe
@console_page
def registry(request: HttpRequest, registry_id: int) -> HttpResponse:
    """Show a registry. `?tab=` chooses the tab. The page holds the inbound link once, after it was revealed or created."""
    shown = get_visible(request, Registry.objects.all(), pk=registry_id)
    tabs = {
        name: label for name, label in TABS.items() if name != "deliveries" or request.user.has_perm("triggers.view_delivery")
    }
    tab = read_tab(request, tuple(tabs))
    context = {
        "title": shown.host,
        "crumbs": _registries_crumbs(),
        "registry": shown,
        "has_expired": shown.password_expires_at and shown.password_expires_at <= timezone.now(),
        "ways": [(each, is_plain(each)) for each in select_ways(visible_clusters(request.user)).filter(registries=shown)],
        "subscription_count": find_subscriptions(request, shown).count(),
        "tab": tab,
        "tabs": tabs.items(),
    }
    if tab == "deliveries":
        context["deliveries"] = list_newest(shown.pk, DELIVERIES_SHOWN)
    else:
        context["page"] = paginate(request, find_subscriptions(request, shown))
    if is_partial(request, "state"):
        return render(request, "console/registries/_registry_state.html", context)
    if is_partial(request, "registry-overview"):
        return render(request, "console/registries/_registry_overview.html", context)
    return render(request, "console/registries/registry.html", context | _describe_inbound(request, shown))


def _describe_inbound(request: HttpRequest, shown: Registry) -> dict[str, Any]:
    """Return the inbound link and how to set senders up with it; in full, once, if it was revealed or created just now."""
    whole = request.session.pop(SHOWN, None) == shown.pk and request.user.has_perm("clusters.reveal_registry")
    base_url = public_base_url(request)
    return {
        "base_url": base_url,
        "masked_link": build_inbound_link(base_url, MASK),
        "link": build_inbound_link(base_url, shown.hook_token) if whole else "",
        "setups": list_setups(shown, base_url, whole=whole),
    }


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def registry_create(request: HttpRequest) -> HttpResponse:
    require(request, "clusters.add_registry")
    form = RegistryForm(
        request.POST if request.method == "POST" else None,
        initial=propose_registry(request.GET.get("host", "")),
        user=request.user,
    )
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            added = form.save()
            record_addition(request, "registry.add", added, form.fields)
        messages.success(request, f"{added} was added. Give its inbound link to the registry or tool that reports pushes.")
        return redirect_to(request, "registry", added.pk)
    return _render_registry_form(request, form)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def registry_edit(request: HttpRequest, registry_id: int) -> HttpResponse:
    shown = _get_registry(request, registry_id, "clusters.change_registry")
    form = RegistryForm(request.POST if request.method == "POST" else None, instance=copy(shown), user=request.user)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            before = read_stored_values(shown, form.fields)
            saved = form.save()
            record_change(request, "registry.change", saved, before)
        messages.success(request, f"{saved} was saved.")
        return redirect_to(request, "registry", saved.pk)
    return _render_registry_form(request, form, shown)


@require_POST
@console_page
def registry_test(request: HttpRequest) -> HttpResponse:
    """Test what the form holds and save nothing. With `?edited=<id>`, an empty password means the stored one."""
    edited_id = request.GET.get("edited", "")
    if edited_id:
        edited = _get_registry(request, int(edited_id) if edited_id.isdecimal() else 0, "clusters.change_registry")
    else:
        require(request, "clusters.add_registry")
        edited = None
    form = RegistryForm(request.POST, instance=copy(edited), user=request.user)
    result = _test_registry_form(form)
    if is_partial(request, "test-result"):
        return render(request, "console/registries/_registry_test_result.html", {"result": result})
    return _render_registry_form(request, form, edited, result=result)


@require_POST
@console_page
def registry_check(request: HttpRequest, registry_id: int) -> HttpResponse:
    """Test the registry with what is stored, and store the result."""
    shown = _get_registry(request, registry_id, "clusters.change_registry")
    try:
        messages.success(request, registry_access.test_registry(shown))
    except RegistryError as error:
        messages.error(request, error.message)
    return return_from(request, "registry", shown.pk)


@require_POST
@console_page
def registry_reveal(request: HttpRequest, registry_id: int) -> HttpResponse:
    """Answer with the link and the texts that hold it as JSON for console.js; without scripts the registry's page has them."""
    shown = _get_registry(request, registry_id, "clusters.reveal_registry")
    record_act(request, "registry.reveal", shown)
    if request.accepts("text/html"):
        return _show_link(request, shown)
    return JsonResponse(build_inbound_secrets(shown, public_base_url(request)))


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def registry_rotate(request: HttpRequest, registry_id: int) -> HttpResponse:
    shown = _get_registry(request, registry_id, "clusters.change_registry")
    if request.method == "POST":
        with transaction.atomic():
            shown.rotate_token()
            record_act(request, "registry.rotate", shown)
        messages.success(request, "A new inbound link was created. The old one no longer works.")
        return _show_link(request, shown)
    return _render_registry_dialog(request, shown, "console/registries/_registry_rotate.html", "New inbound link")


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def registry_delete(request: HttpRequest, registry_id: int) -> HttpResponse:
    shown = _get_registry(request, registry_id, "clusters.delete_registry")
    if request.method == "POST":
        with transaction.atomic():
            record_act(request, "registry.delete", shown)
            shown.delete()
        messages.success(request, f"{shown} was deleted. Its deliveries are kept.")
        return redirect_to(request, "registries")
    count = find_subscriptions(request, shown).count()
    return _render_registry_dialog(
        request, shown, "console/registries/_registry_delete.html", "Delete registry", subscription_count=count
    )


def find_subscriptions(request: HttpRequest, shown: Registry) -> QuerySet[ImageSubscription]:
    """Return the subscriptions to the registry's repositories, by any of its hosts, whose triggers the reader may see."""
    hosts = reduce(or_, (Q(repository__startswith=f"{host}/") for host in sorted(list_hosts(shown))))
    rows = (
        ImageSubscription.objects.filter(hosts)
        .select_related("trigger__application__cluster")
        .order_by(NaturalOrder("repository"), "pk")
    )
    keys = (f"trigger__application__cluster__tls_{name}" for name in ("ca", "cert", "key"))
    return scope_visible(rows, request.user).defer("polled", "trigger__secret", *keys)


def describe_registries(request: HttpRequest, rows: Any) -> None:
    """Set on each of the registries `subscription_count`, from one query for all, the short `kind_word`, and of the clusters
    that it is allowed for how many get its credentials (`reached`) and do not (`held_back`), with their names (`reach`)."""
    seen = scope_visible(ImageSubscription.objects.order_by(), request.user)
    counts: Counter[str] = Counter()
    for repository, count in seen.values_list("repository").annotate(Count("pk")):
        counts[repository.partition("/")[0]] += count
    for row in rows:
        row.subscription_count = sum(counts[host] for host in list_hosts(row))
        row.kind_word = row.get_kind_display().partition(" (")[0]
        plain = [cluster.name for cluster in row.allowed if is_plain(cluster)]
        names = [cluster.name for cluster in row.allowed if cluster.name not in plain]
        row.reached, row.held_back = len(names), len(plain)
        row.reach = ", ".join(names) + (f"; not while tcp:// without TLS: {', '.join(plain)}" if plain else "")


def _get_registry(request: HttpRequest, registry_id: int, permission: str) -> Registry:
    shown = get_visible(request, Registry.objects.all(), pk=registry_id)
    require(request, permission)
    return shown


def _show_link(request: HttpRequest, shown: Registry) -> HttpResponse:
    """Redirect to the registry, whose page then shows the inbound link once. Creating or revealing it was recorded."""
    request.session[SHOWN] = shown.pk
    return redirect_to(request, "registry", shown.pk, query="#inbound")


def _test_registry_form(form: RegistryForm) -> dict[str, str]:
    """Return the registry's `answer`, or as `error` the exact reason why it cannot be used."""
    form.is_valid()
    if wrong := [str(error) for name in TESTED_FIELDS for error in form.errors.get(name, [])]:
        return {"error": " ".join(wrong)}
    tested = copy(form.instance)
    tested.pk = None  # so that nothing typed is saved
    try:
        return {"answer": registry_access.test_registry(tested)}
    except RegistryError as error:
        return {"error": error.message}


def _render_registry_form(
    request: HttpRequest, form: RegistryForm, edited: Registry | None = None, **extra: Any
) -> HttpResponse:
    own = [(edited.host, reverse("registry", args=[edited.pk]))] if edited else []
    title = "Edit registry" if edited else "Add registry"
    context = {"title": title, "form": form, "registry": edited, "crumbs": [*_registries_crumbs(), *own]}
    return render(request, "console/registries/registry_form.html", context | extra)


def _render_registry_dialog(request: HttpRequest, shown: Registry, template: str, title: str, **extra: Any) -> HttpResponse:
    crumbs = [*_registries_crumbs(), (shown.host, reverse("registry", args=[shown.pk]))]
    return render_dialog(request, template, {"title": title, "registry": shown, "crumbs": crumbs} | extra)


def _registries_crumbs() -> list[tuple[str, str]]:
    return [("Registries", reverse("registries"))]

"""The page Sign-in: identity providers, and the roles that their groups give. For administrators of all clusters."""

from collections import defaultdict
from copy import copy
from typing import Any

from allauth.socialaccount.models import SocialAccount
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clusters.access import may_choose_engines
from clusters.access.audit import record_act, record_addition, record_change
from clusters.access.changes import read_stored_values
from clusters.access.given_roles import take_roles
from clusters.callers import client_address
from clusters.models import Cluster
from console.identity.attempts import TEST, Attempt
from console.identity.providers import Provider, find_provider, list_providers
from console.models import GroupMapping, IdentityProvider
from console.pages.account.provider_forms import MappingForm, ProviderForm
from console.pages.account.provider_ways import find_redirect_uri, lead_to_provider
from console.pages.shared.page import console_page, redirect_to, render_dialog

LABELS = dict(IdentityProvider.Admits.choices)


def may_set_sign_in(user: Any) -> bool:
    """Return whether the user may decide who signs in how: it gives roles for all clusters, Administrator included."""
    return may_choose_engines(user) and bool(user.has_perm("auth.change_user") and user.has_perm("clusters.add_clustergrant"))


def require_settings(request: HttpRequest) -> None:
    if not may_set_sign_in(request.user):
        raise PermissionDenied


@require_safe
@console_page
def sign_in_settings(request: HttpRequest) -> HttpResponse:
    require_settings(request)
    return _render_settings(request)


def _render_settings(request: HttpRequest, wrong_key: str = "", wrong: MappingForm | None = None) -> HttpResponse:
    providers = list_providers()
    mappings = defaultdict(list)
    keys = (f"cluster__{name}" for name in Cluster.KEYS)
    for mapping in GroupMapping.objects.select_related("cluster").defer(*keys):
        mappings[mapping.issuer].append(mapping)
    counted = SocialAccount.objects.values_list("provider").annotate(Count("pk")).order_by()
    numbers = dict(counted) if providers else {}
    clusters = [("", "All clusters"), *Cluster.objects.values_list("pk", "name").order_by("name")] if providers else []
    shown = []
    for provider in providers:
        form = wrong if wrong and provider.key == wrong_key else MappingForm(provider.issuer, auto_id=f"id_{provider.key}_%s")
        form.fields["cluster"].choices = clusters  # type: ignore[attr-defined]
        found = {"form": form, "mappings": mappings[provider.issuer], "identities": numbers.get(provider.issuer, 0)}
        shown.append({"provider": provider, "admits": LABELS[provider.admits], **found})
    context = {
        "title": "Sign-in",
        "crumbs": [("Users", reverse("users"))],
        "shown": shown,
        "redirect_uri": find_redirect_uri(request),
    }
    return render(request, "console/account/sign_in_settings.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def provider_create(request: HttpRequest) -> HttpResponse:
    require_settings(request)
    form = ProviderForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            added = form.save()
            record_addition(request, "provider.add", added, form.fields)
        messages.success(request, f"{added} was added. Test it before others use it.")
        return redirect_to(request, "sign_in_settings")
    return _render_form(request, form, "Add identity provider")


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def provider_edit(request: HttpRequest, provider_id: int) -> HttpResponse:
    require_settings(request)
    shown = get_object_or_404(IdentityProvider, pk=provider_id)
    form = ProviderForm(request.POST if request.method == "POST" else None, instance=copy(shown))
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            before = read_stored_values(shown, form.fields)
            saved = form.save()
            record_change(request, "provider.change", saved, before)
        messages.success(request, f"{saved} was saved.")
        return redirect_to(request, "sign_in_settings")
    return _render_form(request, form, "Edit identity provider")


def _render_form(request: HttpRequest, form: ProviderForm, title: str) -> HttpResponse:
    crumbs = [("Users", reverse("users")), ("Sign-in", reverse("sign_in_settings"))]
    context = {"title": title, "form": form, "redirect_uri": find_redirect_uri(request), "crumbs": crumbs}
    return render(request, "console/account/provider_form.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def provider_delete(request: HttpRequest, provider_id: int) -> HttpResponse:
    """Delete a provider, what its groups give, and the roles that they gave. Identities stay: nobody can use them meanwhile."""
    require_settings(request)
    shown = get_object_or_404(IdentityProvider.objects.defer("client_secret"), pk=provider_id)
    if request.method != "POST":
        crumbs = [("Users", reverse("users")), ("Sign-in", reverse("sign_in_settings"))]
        number = SocialAccount.objects.filter(provider=shown.issuer).count()
        context = {"title": "Delete identity provider", "provider": shown, "identities": number, "crumbs": crumbs}
        return render_dialog(request, "console/account/_provider_delete.html", context)
    with transaction.atomic():
        record_act(request, "provider.delete", shown, issuer=shown.issuer)
        GroupMapping.objects.filter(issuer=shown.issuer).delete()
        _take(request, shown.issuer, f"deleting {shown.name}")
        shown.delete()
    messages.success(request, f"{shown} was deleted.")
    return redirect_to(request, "sign_in_settings")


@require_POST
@console_page
def provider_test(request: HttpRequest, provider_key: str) -> HttpResponse:
    """Lead the administrator to the provider, to see what it sends. Nobody is signed in by it, and nothing is changed."""
    require_settings(request)
    return lead_to_provider(request, Attempt(_get_provider(provider_key).key, TEST, user_id=request.user.pk))


@require_POST
@console_page
def mapping_create(request: HttpRequest, provider_key: str) -> HttpResponse:
    require_settings(request)
    provider = _get_provider(provider_key)
    form = MappingForm(provider.issuer, request.POST, auto_id=f"id_{provider.key}_%s")
    if not form.is_valid():
        return _render_settings(request, provider.key, form)
    with transaction.atomic():
        added = GroupMapping.objects.create(issuer=provider.issuer, **form.cleaned_data)
        record_addition(request, "mapping.add", added, ["group", "role", "cluster"], provider=provider.name)
    messages.success(request, f"{added.group} gives {added.get_role_display()} from each one's next sign-in on.")
    return redirect_to(request, "sign_in_settings")


@require_POST
@console_page
def mapping_delete(request: HttpRequest, mapping_id: int) -> HttpResponse:
    """Delete a mapping. The roles that it gave are taken at the next sign-in, when it is known what else the groups give."""
    require_settings(request)
    keys = (f"cluster__{name}" for name in Cluster.KEYS)
    shown = get_object_or_404(GroupMapping.objects.select_related("cluster").defer(*keys), pk=mapping_id)
    with transaction.atomic():
        record_act(request, "mapping.delete", shown, issuer=shown.issuer)
        shown.delete()
    messages.success(request, f"{shown.group} no longer gives a role there. Who has it loses it at the next sign-in.")
    return redirect_to(request, "sign_in_settings")


def _take(request: HttpRequest, issuer: str, by: str) -> None:
    take_roles(User.objects.all(), issuer, request.user, client_address(request), by)


def _get_provider(key: str) -> Provider:
    found = find_provider(key)
    if found is None:
        raise Http404
    return found

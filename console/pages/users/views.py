"""Users and roles: the list, one user, and their roles on all clusters and per cluster. The rest is in the Django admin."""

from typing import Any

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Exists, Prefetch, QuerySet, Value
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clusters.access.administrators import ROLE_GROUPS, LockedOut, find_role, keep_administrators, may_manage, set_role
from clusters.access.audit import record_act, record_change
from clusters.access.changes import list_changes, read_stored_values
from clusters.access.given_roles import forget_given_role
from clusters.access.tokens import DEACTIVATED, PASSWORD_CHANGED, end_all_tokens
from clusters.callers import client_address
from clusters.models import Cluster, ClusterGrant, GivenRole
from clusters.roles import Role
from console.factors.store import describe_factors
from console.models import IdentityProvider
from console.pages.shared.natural_order import NaturalOrder
from console.pages.shared.page import (
    console_page,
    is_partial,
    paginate,
    read_query,
    read_tab,
    redirect_to,
    render_dialog,
    require,
)
from console.pages.shared.tokens import end_token, get_token, list_tokens, name_token
from console.pages.users.forms import GrantForm, NewPasswordForm, RoleForm, UserForm
from console.session_list import count_sessions
from console.sign_in_locks import end_of, list_locks

# The tabs of a user's page.
ROLES, SIGN_IN = "roles", "sign-in"


@require_safe
@console_page
def users(request: HttpRequest) -> HttpResponse:
    require(request, "auth.view_user")
    query = read_query(request, "q")
    rows = _with_roles().filter(username__icontains=query) if query else _with_roles()
    page = paginate(request, rows.order_by(NaturalOrder("username")))
    context = {
        "title": "Users and roles",
        "query": query,
        "page": page,
        "users": [_describe_user(user) for user in page],
        "required": settings.SECOND_FACTOR,
    }
    if request.user.has_perm("auth.change_user") and not is_partial(request, "list"):
        context["locks"] = [(lock, end_of(lock)) for lock in list_locks()]
    return render(request, "console/users/_users.html" if is_partial(request, "list") else "console/users/users.html", context)


@require_safe
@console_page
def user(request: HttpRequest, user_id: int) -> HttpResponse:
    require(request, "auth.view_user")
    known = _with_ways_in() if _read_tab(request) == SIGN_IN else _with_roles()
    return _render_user(request, get_object_or_404(known, pk=user_id))


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def user_create(request: HttpRequest) -> HttpResponse:
    require(request, "auth.add_user")
    form = UserForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            added = form.save()
            set_role(added, form.chosen_role())
            record_act(request, "user.add", added, role=_name_role(form.chosen_role()))
        messages.success(request, f"{added} was added.")
        return redirect_to(request, "user", added.pk)
    context = {"title": "Add user", "form": form, "crumbs": _users_crumbs()}
    return render_dialog(request, "console/users/_user_create.html", context)


@require_POST
@console_page
def user_role(request: HttpRequest, user_id: int) -> HttpResponse:
    shown = _get_managed(request, user_id)
    form = RoleForm(request.POST)
    if not form.is_valid():
        return _render_user(request, shown, role_form=form)
    former, role = find_role(shown), form.chosen_role()
    try:
        with keep_administrators(request.user):
            set_role(shown, role)
            changes = list_changes({"role": _name_role(former)}, {"role": _name_role(role)})
            record_act(request, "user.change", shown, changes=changes)
    except LockedOut as error:
        messages.error(request, f"{error} Nothing was changed.")
    else:
        what = f"is {_name_role(role)} on all clusters" if role else "no longer has a role for all clusters"
        messages.success(request, f"{shown} {what}.")
    return redirect_to(request, "user", shown.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def user_switch(request: HttpRequest, user_id: int) -> HttpResponse:
    """Deactivate or activate, as `active` says. GET shows the dialog that confirms a deactivation."""
    shown = _get_managed(request, user_id)
    if request.method != "POST":
        context = {"title": "Deactivate user", "shown": shown, "crumbs": _users_crumbs(shown)}
        return render_dialog(request, "console/users/_user_switch.html", context)
    was_active, shown.is_active = shown.is_active, request.POST.get("active") == "1"
    try:
        with keep_administrators(request.user):
            if not shown.is_active:
                end_all_tokens(shown, DEACTIVATED, by=request.user, address=client_address(request))
            shown.save(update_fields=["is_active"])
            changes = list_changes({"active": was_active}, {"active": shown.is_active})
            record_act(request, "user.change", shown, changes=changes)
    except LockedOut as error:
        messages.error(request, f"{error} Nothing was changed.")
    else:
        messages.success(request, f"{shown} {'can sign in again' if shown.is_active else 'is signed out and cannot sign in'}.")
    return redirect_to(request, "user", shown.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def user_password(request: HttpRequest, user_id: int) -> HttpResponse:
    shown = _get_managed(request, user_id)
    form = NewPasswordForm(shown, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            end_all_tokens(shown, PASSWORD_CHANGED, by=request.user, address=client_address(request))
            form.save()
            record_act(request, "user.change", shown, changes={"password": "changed"})
        messages.success(request, f"{shown} has a new password and is signed out everywhere. API tokens have ended too.")
        return redirect_to(request, "user", shown.pk)
    context = {"title": "Set password", "shown": shown, "form": form, "crumbs": _users_crumbs(shown)}
    return render_dialog(request, "console/users/_user_password.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def user_token_end(request: HttpRequest, user_id: int, key: str) -> HttpResponse:
    shown = _get_managed(request, user_id)
    token = get_token(shown, key)
    if request.method == "POST":
        end_token(request, token)
        messages.success(request, f"The token {name_token(token)} of {shown} has ended.")
        return redirect_to(request, "user", shown.pk, query="?tab=sign-in")
    context = {
        "title": "End API token",
        "name": name_token(token),
        "owner": shown,
        "form_url": reverse("user_token_end", args=[shown.pk, key]),
        "back": reverse("user", args=[shown.pk]),
        "crumbs": _users_crumbs(shown),
    }
    return render_dialog(request, "console/shared/tokens/_token_end.html", context)


@require_POST
@console_page
def grant_create(request: HttpRequest, user_id: int) -> HttpResponse:
    """Give a role on one cluster. A role that the user has there already is changed."""
    require(request, "clusters.add_clustergrant")
    shown = _get_managed(request, user_id)
    form = GrantForm(request.POST)
    if not form.is_valid():
        return _render_user(request, shown, grant_form=form)
    cluster, role = form.cleaned_data["cluster"], form.cleaned_data["role"]
    with transaction.atomic():
        former = ClusterGrant.objects.filter(user=shown, cluster=cluster).first()
        before = read_stored_values(former, ["role"]) if former else {}
        forget_given_role(shown, cluster.pk)
        grant, added = ClusterGrant.objects.update_or_create(user=shown, cluster=cluster, defaults={"role": role})
        record_change(request, "grant.add" if added else "grant.change", grant, before, ["role"], user=shown.username)
    messages.success(request, f"{shown} is {grant.get_role_display()} on {cluster}.")
    return redirect_to(request, "user", shown.pk)


@require_POST
@console_page
def grant_delete(request: HttpRequest, grant_id: int) -> HttpResponse:
    require(request, "clusters.delete_clustergrant")
    grant = get_object_or_404(ClusterGrant.objects.select_related("user", "cluster"), pk=grant_id, user__isnull=False)
    assert grant.user
    if not may_manage(request.user, grant.user):
        raise PermissionDenied
    with transaction.atomic():
        record_act(request, "grant.delete", grant, user=grant.user.username, role=grant.role)
        forget_given_role(grant.user, grant.cluster_id)
        grant.delete()
    messages.success(request, f"{grant.user} no longer has a role of their own on {grant.cluster}.")
    return redirect_to(request, "user", grant.user.pk)


def _with_roles() -> QuerySet[User]:
    """Return users with `groups`, their own grants and their groups' grants prefetched."""
    grants = ClusterGrant.objects.select_related("cluster").defer(*(f"cluster__{name}" for name in Cluster.KEYS))
    return User.objects.prefetch_related(
        "groups", "authenticator_set", Prefetch("cluster_grants", grants), Prefetch("groups__cluster_grants", grants)
    )


def _with_ways_in() -> QuerySet[User]:
    """Return users with their groups, factors and old API token, and with `has_provider`: there is an identity provider."""
    providers = Value(True) if settings.OIDC["issuer"] else Exists(IdentityProvider.objects.all())
    users = User.objects.select_related("auth_token").annotate(has_provider=providers)
    return users.prefetch_related("groups", "authenticator_set")


def _read_tab(request: HttpRequest) -> str:
    return read_tab(request, (ROLES, SIGN_IN))


def _describe_user(shown: User, has_grants: bool = True) -> dict[str, Any]:
    """Return what a row and the page show of a user; without `has_grants`, nothing of single clusters."""
    groups = [group for group in shown.groups.all() if group.name not in ROLE_GROUPS]
    return {
        "user": shown,
        "role": find_role(shown),
        "groups": groups,
        "factors": describe_factors(list(shown.authenticator_set.all())),  # type: ignore[attr-defined]
    } | (_describe_grants(shown) if has_grants else {})


def _describe_grants(shown: User) -> dict[str, Any]:
    return {
        "grants": shown.cluster_grants.all(),
        "group_grants": [(group, grant) for group in shown.groups.all() for grant in group.cluster_grants.all()],
    }


def _render_user(
    request: HttpRequest, shown: User, role_form: RoleForm | None = None, grant_form: GrantForm | None = None
) -> HttpResponse:
    tab = ROLES if role_form or grant_form else _read_tab(request)
    described = _describe_user(shown, has_grants=tab != SIGN_IN)
    context = {
        "title": shown.username,
        "crumbs": _users_crumbs(),
        "shown": shown,
        "described": described,
        "can_manage": may_manage(request.user, shown),
        "tab": tab,
        "role_form": role_form or RoleForm(initial={"role": described["role"] or ""}),
        "grant_form": grant_form or GrantForm(),
    }
    context |= _describe_sign_in(request, shown) if tab == SIGN_IN else _describe_given_roles(shown)
    return render(request, "console/users/user.html", context)


def _describe_sign_in(request: HttpRequest, shown: User) -> dict[str, Any]:
    sessions = count_sessions(shown)
    return {
        "sessions": sessions,
        "can_end_sessions": sessions > (shown == request.user),
        "tokens": list_tokens(shown),
        "identities": SocialAccount.objects.filter(user=shown).order_by("pk"),
        "can_invite": shown.is_active and shown.has_provider,  # type: ignore[attr-defined]
    }


def _describe_given_roles(shown: User) -> dict[str, Any]:
    """Return what the groups of identity providers gave, with the clusters."""
    keys = (f"cluster__{name}" for name in Cluster.KEYS)
    given = list(GivenRole.objects.filter(user=shown).select_related("cluster").defer(*keys))
    return {"given_roles": given, "given_on": {each.cluster_id for each in given}}


def _get_managed(request: HttpRequest, user_id: int) -> User:
    """Return the user, if the reader may change them."""
    require(request, "auth.change_user")
    shown = get_object_or_404(User, pk=user_id)
    if not may_manage(request.user, shown):
        raise PermissionDenied
    return shown


def _name_role(role: Role | None) -> str:
    return str(role.label) if role else "none"


def _users_crumbs(shown: User | None = None) -> list[tuple[str, str]]:
    own = [(shown.username, reverse("user", args=[shown.pk]))] if shown else []
    return [("Users", reverse("users")), *own]

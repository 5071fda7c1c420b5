"""What an administrator's test at a provider shows: the claims that came, and what they would do. Nothing is changed by it."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from clusters.access.audit import record_act
from clusters.models import Cluster
from console.identity.arrivals import choose_user_name, find_account
from console.identity.claims import has_reference, propose_user_name, read_groups, show_claims
from console.identity.mapping import find_near_misses, find_wanted, list_mappings
from console.identity.providers import Provider
from console.models import IdentityProvider

GROUPS_SHOWN = 100


def render_test(request: HttpRequest, provider: Provider, claims: Mapping[str, Any]) -> HttpResponse:
    groups = read_groups(claims, provider.groups_claim)
    mappings = list_mappings(provider.issuer)
    wanted = find_wanted(mappings, groups)
    clusters: dict[int | None, Cluster | None] = {mapping.cluster_id: mapping.cluster for mapping in mappings}
    account = find_account(provider, claims)
    record_act(request, "provider.test", None, provider=provider.name, subject=claims["sub"])
    context = {
        "title": f"Test of {provider.name}",
        "crumbs": [("Users", reverse("users")), ("Sign-in", reverse("sign_in_settings"))],
        "provider": provider,
        "claims": show_claims(claims),
        "groups": groups[:GROUPS_SHOWN],
        "further_groups": max(0, len(groups) - GROUPS_SHOWN),
        "has_claim": provider.groups_claim in claims or bool(groups),
        "has_reference": has_reference(claims, provider.groups_claim),
        "roles": [(one.role.label, clusters[key], one.group) for key, one in wanted.items()],
        "near_misses": find_near_misses(mappings, groups),
        "user_of": account.user if account else None,
        "new_name": choose_user_name(propose_user_name(claims)) if _would_add(provider, bool(account), bool(wanted)) else "",
    }
    return render(request, "console/account/provider_test.html", context)


def _would_add(provider: Provider, is_known: bool, has_role: bool) -> bool:
    if is_known or provider.admits == IdentityProvider.Admits.KNOWN:
        return False
    return has_role or provider.admits == IdentityProvider.Admits.EVERYBODY

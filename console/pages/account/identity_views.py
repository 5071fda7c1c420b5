"""One's identities at providers: which are linked, linking and unlinking, and invitations."""

from allauth.socialaccount.models import SocialAccount
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clusters.callers import client_address
from console.identity.arrivals import find_invitation, is_last_way, unlink
from console.identity.attempts import INVITED, LINK, Attempt
from console.identity.providers import list_providers
from console.pages.account.fresh import is_fresh, lead_to_confirm
from console.pages.account.provider_ways import lead_to_provider
from console.pages.shared.page import console_page, redirect_to


@require_safe
@console_page
def identities(request: HttpRequest) -> HttpResponse:
    rows = list(SocialAccount.objects.filter(user_id=request.user.pk).order_by("pk"))
    providers = [each for each in list_providers() if each.is_enabled]
    names = {each.issuer: each.name for each in providers}
    for row in rows:
        row.at = names.get(row.provider, row.provider)
        row.is_usable = row.provider in names
    context = {"title": "Your identities", "identities": rows, "providers": providers}
    return render(request, "console/account/identities.html", context)


@require_POST
@console_page
def identity_link(request: HttpRequest, provider_key: str) -> HttpResponse:
    if not is_fresh(request):  # otherwise whoever finds a session open has a way in for good
        return lead_to_confirm(request, reverse("identities"))
    return lead_to_provider(request, Attempt(provider_key, LINK, user_id=request.user.pk))


@require_POST
@console_page
def identity_unlink(request: HttpRequest, identity_id: int) -> HttpResponse:
    with transaction.atomic():
        rows = SocialAccount.objects.select_for_update(of=("self",)).select_related("user")
        found = get_object_or_404(rows, pk=identity_id, user_id=request.user.pk)
        if is_last_way(found):
            messages.error(request, "This is your only way to sign in, so it stays. Link another one, or ask for a password.")
        else:
            unlink(found, found.user, client_address(request))
            messages.success(request, "The identity was unlinked. Roles that its groups gave were taken.")
    return redirect_to(request, "identities")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def invitation(request: HttpRequest) -> HttpResponse:
    """Show whose user an invitation links, and begin the sign-in that links. The key is in the query, which no log line
    holds."""
    key = (request.POST if request.method == "POST" else request.GET).get("key", "")[:100]
    found = find_invitation(key)
    if found is None:
        return render(request, "console/account/invitation.html", {"invited": None}, status=404)
    if request.method == "POST":
        return lead_to_provider(request, Attempt(request.POST.get("provider", "")[:20], INVITED, invitation=key))
    context = {"invited": found.user, "key": key, "providers": [each for each in list_providers() if each.is_enabled]}
    return render(request, "console/account/invitation.html", context)

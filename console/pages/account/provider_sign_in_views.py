"""Signing in at an identity provider: the button, and the provider's answer, whatever it is for."""

from collections.abc import Mapping
from typing import Any

from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from clusters.callers import client_address
from console.identity.arrivals import accept_invitation, admit, link
from console.identity.attempts import INVITED, LINK, NEXT_LENGTH, SIGN_IN, TEST, Attempt, find_attempt, forget_attempt
from console.identity.claims import keep_claims
from console.identity.errors import IdentityError
from console.identity.protocol import fetch_claims
from console.identity.providers import Provider, find_provider
from console.pages.account.provider_sessions import METHOD
from console.pages.account.provider_settings_views import may_set_sign_in
from console.pages.account.provider_test import render_test
from console.pages.account.provider_ways import find_redirect_uri, lead_to_provider, refuse

Claims = Mapping[str, Any]


@require_POST
@never_cache
def provider_sign_in(request: HttpRequest, provider_key: str) -> HttpResponse:
    target = request.POST.get("next", "")
    return lead_to_provider(request, Attempt(provider_key, SIGN_IN, next=target if len(target) <= NEXT_LENGTH else ""))


@require_GET
@never_cache
def provider_callback(request: HttpRequest) -> HttpResponse:
    """Take the provider's answer. It must belong to an attempt of this browser, which ends with it."""
    attempt, provider, claims = find_attempt(request), None, dict[str, Any]()
    try:
        if attempt is None:
            raise IdentityError(
                "state",
                "This sign-in was not begun in this browser, was finished before, or took too long. Begin anew.",
            )
        provider = find_provider(attempt.provider)
        if provider is None:
            raise IdentityError("provider", "This identity provider is no longer here. Choose another way to sign in.")
        _check_person(request, attempt)
        answer = {name: request.GET[name] for name in request.GET}
        claims = fetch_claims(provider, answer, find_redirect_uri(request), attempt.nonce, attempt.verifier)
        response = FINISHES[attempt.mode](request, provider, attempt, claims)
    except IdentityError as error:
        known = keep_claims(claims)
        response = refuse(request, error, attempt, provider, known.get("preferred_username") or known.get("email", ""))
    forget_attempt(response)
    return response


def _check_person(request: HttpRequest, attempt: Attempt) -> None:
    """Whoever links or tests must be the user who began it, and may do it still."""
    if attempt.mode not in (LINK, TEST):
        return
    if request.user.pk != attempt.user_id or (attempt.mode == TEST and not may_set_sign_in(request.user)):
        raise IdentityError("user", "Another user is signed in by now. Nothing was changed.")


def _finish_sign_in(request: HttpRequest, provider: Provider, attempt: Attempt, claims: Claims) -> HttpResponse:
    return _sign_in(request, provider, attempt, claims, admit(provider, claims, client_address(request)))


def _finish_invitation(request: HttpRequest, provider: Provider, attempt: Attempt, claims: Claims) -> HttpResponse:
    accept_invitation(provider, claims, attempt.invitation, client_address(request))
    return _finish_sign_in(request, provider, attempt, claims)


def _sign_in(request: HttpRequest, provider: Provider, attempt: Attempt, claims: Claims, user: User) -> HttpResponse:
    """Sign the user in. What else is asked for are the stages of allauth, as after a password."""
    if request.user.is_authenticated:
        logout(request)
    target = attempt.next
    is_own = url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    if not is_own or not target.startswith("/"):
        target = resolve_url("overview")
    record_authentication(request, user, METHOD, provider=provider.issuer, uid=claims["sub"])
    return perform_login(request, Login(user, redirect_url=target))


def _finish_link(request: HttpRequest, provider: Provider, attempt: Attempt, claims: Claims) -> HttpResponse:
    user = User.objects.get(pk=attempt.user_id or 0)
    link(provider, claims, user, user, client_address(request))
    messages.success(request, f"You can sign in by {provider.name} from now on.")
    return redirect("identities")


def _finish_test(request: HttpRequest, provider: Provider, attempt: Attempt, claims: Claims) -> HttpResponse:
    return render_test(request, provider, claims)


FINISHES = {SIGN_IN: _finish_sign_in, INVITED: _finish_invitation, LINK: _finish_link, TEST: _finish_test}

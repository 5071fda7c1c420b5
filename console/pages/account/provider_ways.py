"""The way to a provider: what every page that leads there answers."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from clusters.access.counted_acts import counted_acts
from clusters.callers import client_address
from console.identity.attempts import INVITED, LINK, SIGN_IN, TEST, Attempt
from console.identity.errors import IdentityError
from console.identity.protocol import build_way
from console.identity.providers import Provider, find_provider
from console.pages.shared.page import write_own_address

# Where each kind of attempt begins, and what the link to there says.
BEGINNINGS = {
    SIGN_IN: ("login", "Sign in"),
    LINK: ("identities", "Your identities"),
    INVITED: ("login", "Sign in"),
    TEST: ("sign_in_settings", "Sign-in settings"),
}


def find_redirect_uri(request: HttpRequest) -> str:
    """Return the address to register at the provider. It is one for all providers: the attempt says which one was meant."""
    return write_own_address(request, "provider_callback")


def lead_to_provider(request: HttpRequest, attempt: Attempt) -> HttpResponse:
    """Answer with a page that leads to the provider at once.

    It is a page and no redirect, since Chromium applies the page's `form-action` to each redirect after a form, also to those
    that the provider makes to others. So the policy stays as strict as everywhere.
    """
    provider = find_provider(attempt.provider)
    try:
        if provider is None or not (provider.is_enabled or attempt.mode == TEST):
            raise IdentityError("provider", "This identity provider is no longer here. Choose another way to sign in.")
        way = build_way(provider, find_redirect_uri(request), attempt.state, attempt.nonce, attempt.verifier)
    except IdentityError as error:
        return refuse(request, error, attempt, provider)
    response = render(request, "console/account/provider_way.html", {"provider": provider, "way": way})
    attempt.keep(response)
    return response


def refuse(
    request: HttpRequest, error: IdentityError, attempt: Attempt | None, provider: Provider | None, known_as: str = ""
) -> HttpResponse:
    """Say why nobody was signed in, and count it in the audit log."""
    name = provider.name if provider else ""
    mode = attempt.mode if attempt else SIGN_IN
    details = {"provider": name, "reason": error.reason} | ({"during": mode} if mode != SIGN_IN else {})
    counted_acts.count(
        None,
        "sign_in.fail",
        actor=known_as or (f"somebody at {name}" if name else "somebody"),
        address=client_address(request),
        kind=f"{error.reason} {name} {mode}",
        **details,
    )
    view, label = BEGINNINGS[mode]
    context = {"sentence": error.sentence, "label": label, "address": reverse(view), "is_away": error.is_away, "mode": mode}
    return render(request, "console/account/provider_refused.html", context, status=503 if error.is_away else 400)

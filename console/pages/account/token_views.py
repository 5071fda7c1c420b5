"""The signed-in user's API tokens: the list, and to make, replace and end one. A token's text is only in the answer to the POST
that made it: nothing keeps it, so no later page can show it."""

import shlex
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe
from rest_framework.authtoken.models import Token

from clusters.access.audit import record_act
from clusters.access.tokens import TokenRefused, create_token, describe_token
from clusters.callers import public_base_url
from clusters.models import ApiToken
from console.pages.account.fresh import fresh_page
from console.pages.account.token_forms import TokenForm
from console.pages.shared.page import console_page, redirect_to, render_dialog
from console.pages.shared.tokens import end_token, get_token, list_tokens, name_token


@require_safe
@console_page
def tokens(request: HttpRequest) -> HttpResponse:
    context = {"title": "API tokens", "tokens": list_tokens(_get_user(request))}
    return render(request, "console/account/tokens.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
@fresh_page
def token_create(request: HttpRequest) -> HttpResponse:
    return _make_token(request, None, {"title": "New API token", "act": "Create token", "form_url": reverse("token_create")})


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
@fresh_page
def token_replace(request: HttpRequest, key: str) -> HttpResponse:
    """Make a token in the place of another one, which ends at once."""
    replaced = get_token(_get_user(request), key)
    names = {"title": "Replace API token", "act": "Replace token", "form_url": reverse("token_replace", args=[key])}
    return _make_token(request, replaced, names)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def token_end(request: HttpRequest, key: str) -> HttpResponse:
    token = get_token(_get_user(request), key)
    if request.method == "POST":
        end_token(request, token)
        messages.success(request, f"The token {name_token(token)} has ended.")
        return redirect_to(request, "tokens")
    context = {"title": "End API token", "name": name_token(token), "back": reverse("tokens"), "crumbs": _crumbs()}
    return render_dialog(
        request, "console/shared/tokens/_token_end.html", context | {"form_url": reverse("token_end", args=[key])}
    )


def _make_token(request: HttpRequest, replaced: ApiToken | Token | None, names: dict[str, Any]) -> HttpResponse:
    """Show the form, or make the token and show it. `names`: of the form's page."""
    user = _get_user(request)
    of_new_kind = replaced if isinstance(replaced, ApiToken) else None
    form = TokenForm(user, request.POST if request.method == "POST" else None, of_new_kind)
    context = names | {"crumbs": _crumbs(), "replaced": name_token(replaced) if replaced else "", "form": form}
    if request.method == "POST" and form.is_valid():
        try:
            token, text = _store_token(request, user, form, replaced)
        except TokenRefused as refusal:
            form.add_error(None, str(refusal))
        else:
            return _show_once(request, token, text)
    return render_dialog(request, "console/account/_token_form.html", context)


def _store_token(request: HttpRequest, user: User, form: TokenForm, replaced: ApiToken | Token | None) -> tuple[ApiToken, str]:
    """Raises TokenRefused, and then nothing has changed."""
    chosen = form.cleaned_data
    former = {"replaced": name_token(replaced)} if replaced else {}
    with transaction.atomic():
        token, text = create_token(
            user, chosen["name"], chosen["role"], chosen["clusters"], chosen["expires"], instead_of=replaced
        )
        record_act(request, "token.replace" if replaced else "token.create", token, **describe_token(token), **former)
    return token, text


def _show_once(request: HttpRequest, token: ApiToken, text: str) -> HttpResponse:
    context = {
        "title": "API token",
        "crumbs": _crumbs(),
        "token": token,
        "text": text,
        "curl": _write_curl_line(text, public_base_url(request)),
        "tokens": list_tokens(token.user),
    }
    return render_dialog(request, "console/account/_token_shown.html", context)


def _get_user(request: HttpRequest) -> User:
    return cast(User, request.user)


def _crumbs() -> list[tuple[str, str]]:
    return [("API tokens", reverse("tokens"))]


def _write_curl_line(token: str, console: str) -> str:
    words = ["curl", "--fail-with-body", "-sS", "-H", f"Authorization: Bearer {token}", f"{console}/api/v1/applications/"]
    return shlex.join(words)

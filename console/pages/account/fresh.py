"""Acts that a session alone must not be enough for: the user has signed in, or has confirmed who they are, a moment ago."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from console.pages.shared.page import redirect_to

CONFIRMED_AT = "confirmed_at"  # session key: Unix time
FRESH_SECONDS = 300


def own_user(request: HttpRequest) -> User:
    """Return the signed-in user of a request to a `console_page`."""
    return cast(User, request.user)


def is_fresh(request: HttpRequest) -> bool:
    return bool(0 <= time.time() - request.session.get(CONFIRMED_AT, 0) < FRESH_SECONDS)


def note_confirmed(request: HttpRequest) -> None:
    request.session[CONFIRMED_AT] = time.time()


def fresh_page(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Lead to the form that confirms, and from there back to this page, or to the one that opened it as a dialog. What was
    posted too late is not done."""

    @wraps(view)
    def confirmed_view(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponseBase:
        return view(request, *arguments, **named) if is_fresh(request) else lead_to_confirm(request, request.path)

    return confirmed_view


def lead_to_confirm(request: HttpRequest, path: str) -> HttpResponse:
    page = request.htmx.current_url_abs_path or path  # type: ignore[attr-defined]
    return redirect_to(request, "confirm", query=f"?{urlencode({'next': page})}")

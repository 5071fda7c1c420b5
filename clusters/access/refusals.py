"""Records refusals in the audit log, wherever they happen: pages, API and admin answer through this middleware."""

import re
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from clusters.access.counted_acts import counted_acts
from clusters.callers import client_address, find_loaded_user

EXPIRED_TOKEN = "expired_token"  # noqa: S105 - an attribute of a request whose token was found to have expired


class RecordRefusals:
    """The middleware. A 403 to a signed-in user is a refused act. A 401 to a request that brought a token is a refused token;
    the token itself is not kept."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code == 403:
            record_refused_act(request)
        elif response.status_code == 401 and "Authorization" in request.headers:
            record_refused_token(request)
        return response


def record_refused_act(request: HttpRequest) -> None:
    """Count by user and by what was requested. The user is not loaded for it: a refusal that looked at none is about none."""
    if user := find_loaded_user(request):
        kind = describe_request(request)
        counted_acts.count(user, "refuse", address=client_address(request), kind=kind, request=kind, path=request.path[:255])


def record_refused_token(request: HttpRequest) -> None:
    """Count by address. A token that has expired is known, so it is counted by user and named."""
    named: dict[str, Any] = {}
    if expired := getattr(request, EXPIRED_TOKEN, None):
        named = {"user": expired.user, "kind": f"token {expired.pk}", "expired": expired.name}
    counted_acts.count(
        named.pop("user", None), "token.refuse", address=client_address(request), request=describe_request(request), **named
    )


def describe_request(request: HttpRequest) -> str:
    """Return the method and the address without the ids in it: `POST clusters/<uid>/edit/`."""
    route = request.resolver_match.route if request.resolver_match else ""
    named = re.sub(r"\(\?P<(\w+)>[^)]*\)|<(?:\w+:)?(\w+)>", r"<\1\2>", route).rstrip("$")
    return f"{request.method} {named}"[:255]

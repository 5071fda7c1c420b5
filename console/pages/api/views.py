"""The pages that document the REST API. The schema itself is at /api/schema/, for programs too."""

import json
from functools import lru_cache
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from clusters.waits import NoPlace
from console.api import RETRY_SECONDS, read_schema
from console.pages.api.reference import ApiGroup, read_groups
from console.pages.shared.page import console_page, write_own_address


@require_safe
@console_page
def api(request: HttpRequest) -> HttpResponse:
    """List all operations of the API."""
    return _render(request, "")


@require_safe
@console_page
def api_group(request: HttpRequest, group: str) -> HttpResponse:
    """Describe the operations of one group. Raises Http404 if there is none with this name."""
    return _render(request, group)


def _render(request: HttpRequest, name: str) -> HttpResponse:
    try:
        groups = _find_groups()
    except NoPlace:
        soon = {"title": "API", "retry_seconds": RETRY_SECONDS}
        waiting = render(request, "console/api/api_waiting.html", soon, status=503)
        waiting["Retry-After"] = str(RETRY_SECONDS)
        return waiting
    address = write_own_address(request, "api")
    context: dict[str, Any] = {"groups": groups.values(), "address": address}
    if not name:
        return render(request, "console/api/api.html", context | {"title": "API", "crumbs": [("Help", reverse("help"))]})
    if name not in groups:
        raise Http404
    group = groups[name]
    crumbs = [("Help", reverse("help")), ("API", reverse("api"))]
    own = {"title": group.title, "crumbs": crumbs, "group": group, "origin": address.removesuffix("/api/")}
    return render(request, "console/api/api_group.html", context | own)


@lru_cache(maxsize=1)
def _find_groups() -> dict[str, ApiGroup]:
    """Raises NoPlace."""
    return read_groups(json.loads(read_schema()))

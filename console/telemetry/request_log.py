"""Gives each request an id, which is in its log lines and in the response. Logs each request, and counts those to links.

An id that a proxy sends in X-Request-ID is used. Log lines contain the path without the query, because a link's query contains
a secret.
"""

import logging
import re
import time
import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

from clusters.callers import client_address, find_loaded_user
from clusters.meters import HOOK_ACK_SECONDS, HOOK_REQUESTS
from console.pages.shared.polling import STATE_HEADER
from console.telemetry.line_limit import line_limit

log = structlog.get_logger("windlass.request")

REQUEST_ID_HEADER = "X-Request-ID"
SAFE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")  # fits into TriggerCall.request_id
METHOD_LENGTH, PATH_LENGTH = 16, 200  # characters in a line of the log, whatever is requested
PROBES = {"healthz", "readyz", "metrics"}
LINKS = {"hook/trigger": "trigger", "hook/registry/<str:token>": "registry"}  # by route, without a trailing slash


class RequestLogMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        request_id = choose_request_id(request)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
            ended = time.perf_counter()
            route = request.resolver_match.route.rstrip("/") if request.resolver_match else ""
            if link := LINKS.get(route):
                HOOK_REQUESTS.add(link, str(response.status_code))
                HOOK_ACK_SECONDS.observe(getattr(request, "acknowledged_at", ended) - started, link)
            write_line(request, response, route, ended - started)
        response[REQUEST_ID_HEADER] = request_id
        return response


def write_line(request: HttpRequest, response: HttpResponse, route: str, seconds: float) -> None:
    """Log the request, unless strangers make so many that they are only counted."""
    user, status = find_loaded_user(request), response.status_code
    # Machines and open pages repeat these requests all the time. They are worth a line only if something is wrong.
    is_quiet = status < 400 and (route in PROBES or STATE_HEADER in request.headers)
    is_strangers = user is None and not (status < 400 and (is_quiet or route in LINKS))
    if is_strangers and not line_limit.admit(status):
        return
    log.log(
        logging.DEBUG if is_quiet else logging.WARNING if status >= 500 else logging.INFO,
        "request",
        method=(request.method or "")[:METHOD_LENGTH],
        path=request.path[:PATH_LENGTH],
        status=status,
        ms=round(seconds * 1000, 1),
        address=client_address(request),
        **({"user": user.get_username()} if user else {}),
    )


def choose_request_id(request: HttpRequest) -> str:
    given = request.META.get("HTTP_X_REQUEST_ID", "")
    return given if SAFE_ID.fullmatch(given) else uuid.uuid4().hex

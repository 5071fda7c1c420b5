"""Endpoints for other programs: is the process alive, can it do its work, and what has it counted?"""

import hmac

from django.conf import settings
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from clusters.access import view_permission
from clusters.models import Cluster
from console.telemetry.metrics import CONTENT_TYPE, render_metrics
from console.telemetry.readiness import check_readiness
from console.telemetry.totals import store_totals


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer without using the database or an engine."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 if this web process can accept calls that start at once, else 503. The body has "ok" or a sentence for each
    check."""
    is_ready, checks = check_readiness()
    return JsonResponse({"ready": is_ready, "checks": checks}, status=200 if is_ready else 503)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer callers with WINDLASS_METRICS_TOKEN and users who may see all clusters. For others the page does not exist."""
    if not (has_token(request) or request.user.has_perm(view_permission(Cluster))):
        if settings.METRICS_TOKEN and request.user.is_anonymous:
            answer = HttpResponse("A bearer token is required.\n", status=401, content_type="text/plain")
            answer["WWW-Authenticate"] = "Bearer"
            return answer
        raise Http404
    try:
        store_totals()  # include this process's counts up to now
        text = render_metrics()
    except DatabaseError:
        return HttpResponse("The database does not answer.\n", status=503, content_type="text/plain")
    return HttpResponse(text, content_type=CONTENT_TYPE)


def has_token(request: HttpRequest) -> bool:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    wanted = settings.METRICS_TOKEN
    return bool(wanted) and kind.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), wanted.encode())

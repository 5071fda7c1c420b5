"""What belongs to one reader rather than to a page: the theme. And the probe that needs no reader."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from console.context import THEME_COOKIE, THEMES


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    wanted = request.POST.get("theme", "")
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        back = "/"
    response = redirect(back)
    if wanted in THEMES:
        response.set_cookie(THEME_COOKIE, wanted, max_age=365 * 24 * 3600, samesite="Lax")
    return response


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The web process answers. It asks neither the database nor an engine."""
    return HttpResponse("ok\n", content_type="text/plain")

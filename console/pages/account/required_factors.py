"""WINDLASS_SECOND_FACTOR: whoever must have a second factor and has none can set one up, and do nothing else."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from console.factors.store import has_factor, must_have_factor
from console.pages.shared.page import redirect_to

HAS_FACTOR = "has_factor"  # session key: what was found, so that it is not asked again. A reset ends the session
ALLOWED_VIEWS = {"second_factor", "app_set_up", "passkey_add", "recovery_codes", "confirm"}
ALLOWED_VIEWS |= {"password", "logout", "theme", "healthz", "readyz"}


def lacks_factor(request: HttpRequest) -> bool:
    """Return whether the signed-in user of the request must set up a second factor first."""
    if settings.SECOND_FACTOR == "nobody" or request.session.get(HAS_FACTOR):
        return False
    if not request.user.is_authenticated or not must_have_factor(request.user):
        return False
    if has_factor(request.user):
        request.session[HAS_FACTOR] = True
        return False
    return True


class RequiredFactors:
    """The middleware. Pages lead to the set-up, and the API answers 403."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, arguments: Any, named: Any) -> HttpResponse | None:
        if settings.SECOND_FACTOR == "nobody" or request.path_info.startswith("/hook/"):
            return None
        assert request.resolver_match
        if request.resolver_match.view_name in ALLOWED_VIEWS or not lacks_factor(request):
            return None
        if request.path_info.startswith("/api/"):
            return JsonResponse({"detail": "Sign in on the pages and set up a second factor first."}, status=403)
        return redirect_to(request, "second_factor")

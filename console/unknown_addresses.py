"""The answers to addresses that do not exist: JSON for programs, a page for people."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.views.defaults import page_not_found

from triggers.hook.views import LINKS_PREFIX, answer_unknown_link

API_PREFIX = "/api/"


def answer_unknown_address(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler for 404. What somebody cannot see is answered as what does not exist."""
    if request.path_info.startswith(LINKS_PREFIX):
        return answer_unknown_link()
    is_read_by_people = "text/html" in request.headers.get("Accept", "")
    if request.path_info.startswith(API_PREFIX) and not is_read_by_people:
        detail = "The API has no such address. The schema lists all of them."
        schema = request.build_absolute_uri(reverse("api-schema"))
        return JsonResponse({"code": "not_found", "detail": detail, "schema": schema}, status=404)
    return page_not_found(request, exception)

"""Redeploying the previous image of an application or of a service, or what ran before a call: a dialog names every image, and
its form starts the call."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from clusters.models import Application, Service
from clusters.selectors import without_keys
from console.pages.shared.image_history.described import show_return
from console.pages.shared.page import console_page, get_visible, render_dialog, require
from console.pages.shared.starting import start_and_show_call
from triggers.freeze_forms import read_override
from triggers.freezes import find_present_freeze
from triggers.images.previous import Returns, find_returns, find_returns_of_call
from triggers.models import Action
from triggers.selectors import whole_calls

PERMISSION = "triggers.add_triggercall"


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def application_previous(request: HttpRequest, application_id: int) -> HttpResponse:
    shown = get_visible(request, without_keys(Application.objects.prefetch_related("services")), pk=application_id)
    require(request, PERMISSION, shown)
    return answer_dialog(request, shown, None, find_returns(shown), shown.name, reverse("application", args=[shown.pk]))


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def service_previous(request: HttpRequest, service_id: int) -> HttpResponse:
    shown = get_visible(request, without_keys(Service.objects.all(), "application__cluster"), pk=service_id)
    require(request, PERMISSION, shown)
    found = find_returns(shown.application, shown)
    return answer_dialog(request, shown.application, shown, found, shown.name, reverse("service", args=[shown.pk]))


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def call_previous(request: HttpRequest, call_id: UUID) -> HttpResponse:
    call = get_visible(request, whole_calls(), pk=call_id)
    require(request, PERMISSION, call)
    name = (call.service or call.application).name
    found = find_returns_of_call(call)
    return answer_dialog(request, call.application, call.service, found, name, reverse("call", args=[call.pk]))


def answer_dialog(
    request: HttpRequest, application: Application, service: Service | None, found: Returns, name: str, back: str
) -> HttpResponse:
    """Show the dialog, or start the call if the form was sent and still says what would be done."""
    is_same = request.POST.get("shown", "") == found.fingerprint
    if request.method == "POST" and not found.refusal and is_same:
        override = read_override(request.POST)
        wanted = {"returns_to": found.returns_to, "override_reason": override}
        return start_and_show_call(request, application, service, action=Action.REDEPLOY, **wanted)
    context = {
        "title": "Redeploy the previous image" if len(found.services) < 2 else "Redeploy the previous images",
        "application": application,
        "name": name,
        "back": back,
        "returns": [show_return(item) for item in found.services],
        "refusal": found.refusal,
        "fingerprint": found.fingerprint,
        "freeze": None if found.refusal else find_present_freeze(application, Action.REDEPLOY),
        "has_changed": request.method == "POST" and not found.refusal,
        "crumbs": [
            ("Applications", reverse("applications")),
            (application.name, reverse("application", args=[application.pk])),
        ],
    }
    return render_dialog(request, "console/shared/image_history/_previous.html", context)

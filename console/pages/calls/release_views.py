"""Letting a call run that waits for the end of a freeze window."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from console.pages.shared.page import console_page, get_visible, redirect_to, render_dialog, require
from triggers.freeze_changes import NotWaiting, release_call
from triggers.freeze_forms import OverrideForm
from triggers.selectors import calls_with_relations


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def call_release(request: HttpRequest, call_id: UUID) -> HttpResponse:
    """Ask for the reason, and let the call run."""
    call = get_visible(request, calls_with_relations(), pk=call_id)
    require(request, "triggers.add_triggercall", call)
    form = OverrideForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            release_call(request, call, form.cleaned_data["override_reason"])
        except NotWaiting:
            messages.warning(request, "The call waits no longer. Nothing was changed.")
        return redirect_to(request, "call", call.pk)
    context = {
        "title": "Run in spite of the freeze",
        "call": call,
        "form": form,
        "crumbs": [("Activity", reverse("activity")), (str(call.application), reverse("call", args=[call.pk]))],
    }
    return render_dialog(request, "console/calls/_call_release.html", context)

"""Starting calls from pages."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse

from clusters.models import Application, Service
from console.pages.shared.page import redirect_to
from triggers import audited
from triggers.calls.queue import QueueFull
from triggers.models import Trigger, TriggerCall


def start_and_show_call(
    request: HttpRequest, application: Application, service: Service | None = None, **wanted: Any
) -> HttpResponse:
    """Accept a call by the reader and redirect to its page, or back to the application if the queue is full.

    The caller has checked the reader's permission."""
    try:
        call = audited.request_call(request, TriggerCall.Source.CONSOLE, application, service, **wanted)
    except QueueFull as error:
        messages.error(request, f"{error} Nothing was started. Try again in {error.retry_after} s.")
        return redirect_to(request, "application", application.pk)
    return redirect_to(request, "call", call.pk)


def start_test_call(request: HttpRequest, trigger: Trigger, **wanted: Any) -> HttpResponse:
    """Start what the trigger's link would do, as a call by the reader."""
    return start_and_show_call(request, trigger.application, trigger.service, action=trigger.action, trigger=trigger, **wanted)

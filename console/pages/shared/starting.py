"""Start a call on behalf of the reader, and lead to its page."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse

from clusters.models import Application, Service
from console.pages.shared.page import redirect_to
from triggers import audited
from triggers.calls.accept import QueueFull
from triggers.models import Trigger, TriggerCall


def start_call(request: HttpRequest, application: Application, service: Service | None = None, **wanted: Any) -> HttpResponse:
    """Accept a call from this reader, who may, and go to its page; back to the application when too many wait already."""
    try:
        call = audited.request_call(request, TriggerCall.Source.CONSOLE, application, service, **wanted)
    except QueueFull as error:
        messages.error(request, f"{error} Nothing was started. Try again in {error.retry_after} s.")
        return redirect_to(request, "application", application.pk)
    return redirect_to(request, "call", call.pk)


def call_trigger(request: HttpRequest, trigger: Trigger, **wanted: Any) -> HttpResponse:
    """A test call: what the link would do, asked for by the reader."""
    return start_call(request, trigger.application, trigger.service, action=trigger.action, trigger=trigger, **wanted)

"""Calls in tests: requests for them, links, and what becomes of a call meanwhile."""

from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

from django.utils import timezone

from triggers.calls.requests import CallRequest
from triggers.models import TriggerCall
from triggers.run import runner
from triggers.selectors import build_trigger_link

PATH = "/hook/trigger"


def request_of(trigger, **more):
    return CallRequest(
        source=TriggerCall.Source.HOOK,
        action=trigger.action,
        application_id=trigger.application_id,
        service_id=trigger.service_id,
        trigger=trigger,
        **more,
    )


def expire_lease(call, now=None):
    now = now or timezone.now()
    TriggerCall.objects.filter(pk=call.pk).update(lease_expires_at=now - timedelta(seconds=1))


def link_parameters(trigger):
    return dict(parse_qsl(urlsplit(build_trigger_link(trigger, "http://testserver")).query))


def end_call(state, message="", **fields):
    """Return a stand-in for `wait_for_end` that ends the call."""

    def end(call_id, seconds, **_):
        TriggerCall.objects.filter(pk=call_id).update(state=state, message=message, **fields)

    return end


def run(call):
    """Let a worker take the next call of the call's application. Return the call as it is then."""
    runner.run_next_call(call.application_id)
    call.refresh_from_db()
    return call

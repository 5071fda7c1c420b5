"""The lines of a call's timeline."""

from django.utils import timezone

from triggers.models import TriggerCall, TriggerCallEvent

EVENT_TEXT_LIMIT = 4000  # characters; text from an engine or a registry can be long


def add_event(call: TriggerCall, level: str, operation: str, text: str) -> None:
    TriggerCallEvent.objects.create(
        call=call, time=timezone.now(), level=level, operation=operation[:32], text=clean_event_text(text)
    )


def clean_event_text(text: str) -> str:
    """Make text from an engine or a registry fit for a column: short enough, and without NUL, which PostgreSQL refuses."""
    return text.replace("\0", "")[:EVENT_TEXT_LIMIT]


def read_predeployed(call: TriggerCall) -> frozenset[str]:
    """Return the lines about the call's pre-deploy steps, see Intent.predeployed. Before the first plan there is none."""
    if not call.plan:
        return frozenset()
    return frozenset(call.events.filter(operation="predeploy", level="info").values_list("text", flat=True))

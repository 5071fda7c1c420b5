"""PagerDuty, webhooks of version 3: `{"event": {"id", "event_type": "incident.triggered", "resource_type", "occurred_at",
"data": {"id", "title", "status"}}}`; `pagey.ping` is its test. From PagerDuty's developer-docs, docs/webhooks/01-Overview.md.
"""

from triggers.payloads.fields import dig, is_object, text
from triggers.payloads.monitors.notification import FIRING, RESOLVED, Notification, make_notification
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "pagerduty", "PagerDuty"
DIALECT = (NAME, LABEL)
TRIGGERED = "incident.triggered"
STATES = {TRIGGERED: FIRING, "incident.reopened": FIRING, "incident.resolved": RESOLVED}


def read(headers: Headers, body: Body) -> Notification | None:
    event = body.get("event")
    kind = text(dig(event, "event_type"))
    if not is_object(event) or not (kind and "resource_type" in event and is_object(event.get("data"))):
        return None
    incident = dig(event, "data", "id")
    # An incident can be opened and resolved several times, and an event is sent again under its id.
    occurrence = incident if kind == TRIGGERED else event.get("id")
    return make_notification(
        DIALECT, kind, STATES, group=("incident", incident), name=dig(event, "data", "title"), occurrence=occurrence
    )

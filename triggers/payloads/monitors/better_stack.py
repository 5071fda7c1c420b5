"""Better Stack, outgoing webhook about incidents: `{"data": {"id", "type": "incident", "attributes": {"name", "started_at",
"acknowledged_at", "resolved_at"}}}`. From betterstack.com/docs/uptime, "Webhooks".
"""

from triggers.payloads.fields import dig, is_object
from triggers.payloads.monitors.notification import FIRING, RESOLVED, Notification, make_notification
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "better_stack", "Better Stack"
DIALECT = (NAME, LABEL)
STATES = {"started": FIRING, "resolved": RESOLVED}


def read(headers: Headers, body: Body) -> Notification | None:
    incident = dig(body, "data", "attributes")
    if dig(body, "data", "type") != "incident" or not is_object(incident) or "started_at" not in incident:
        return None
    acknowledged = "acknowledged" if incident.get("acknowledged_at") else "started"
    word, issue = "resolved" if incident.get("resolved_at") else acknowledged, dig(body, "data", "id")
    return make_notification(DIALECT, word, STATES, group=("incident", issue), name=incident.get("name"), occurrence=issue)

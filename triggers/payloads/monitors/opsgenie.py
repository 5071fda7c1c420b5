"""Opsgenie and Jira Service Management, outgoing webhook: `{"action": "Create", "alert": {"alertId", "message", "alias"},
"integrationId", "integrationName", "source"}`; other actions are `Close`, `Acknowledge`, `AddNote` and more. From
docs.opsgenie.com, "Webhook Integration" and "Alert action data".
"""

from triggers.payloads.fields import is_object
from triggers.payloads.monitors.notification import FIRING, RESOLVED, Notification, make_notification
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "opsgenie", "Opsgenie"
DIALECT = (NAME, LABEL)
STATES = {"create": FIRING, "close": RESOLVED}


def read(headers: Headers, body: Body) -> Notification | None:
    alert = body.get("alert")
    if not (is_object(alert) and "alertId" in alert and isinstance(body.get("action"), str)):
        return None
    issue = alert["alertId"]
    return make_notification(
        DIALECT, body["action"], STATES, group=("alert", issue), name=alert.get("message"), occurrence=issue
    )

"""New Relic, a workflow's webhook with its default template: `{"id", "issueUrl", "title", "state": "ACTIVATED", "trigger"}`;
the id is the issue's. From docs.newrelic.com, "Workflows" and "Workflow variables". Also notification channels of the time
before workflows: `{"current_state": "open", "incident_id", "policy_name", "condition_name"}`.
"""

from triggers.payloads.monitors.notification import FIRING, RESOLVED, Notification, make_notification
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "new_relic", "New Relic"
DIALECT = (NAME, LABEL)
STATES = {"activated": FIRING, "open": FIRING, "closed": RESOLVED, "deactivated": RESOLVED, "resolved": RESOLVED}
ADDRESSES = ("issueUrl", "issuePageUrl", "issueLink")


def read(headers: Headers, body: Body) -> Notification | None:
    if "current_state" in body and "incident_id" in body:
        word, issue, name = body["current_state"], body["incident_id"], body.get("condition_name")
    elif "state" in body and any(address in body for address in ADDRESSES):
        word, issue, name = body["state"], body.get("issueId") or body.get("id"), body.get("title") or body.get("issueTitle")
    else:
        return None
    return make_notification(DIALECT, word, STATES, group=("issue", issue), name=name, occurrence=issue)

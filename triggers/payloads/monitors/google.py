"""Google Cloud Monitoring, a notification channel Webhook: `{"version": "1.2", "incident": {"incident_id", "state": "open",
"started_at", "policy_name", "condition_name"}}`; the version is `test` in a test. From cloud.google.com/monitoring, "Create
and manage notification channels". A channel Pub/Sub sends the same in `{"message": {"data": "<base64>"}}`.
"""

import base64
import binascii

from triggers.payloads.fields import dig, is_object, parse_object, text
from triggers.payloads.monitors.notification import FIRING, RESOLVED, Notification, make_notification, pass_over
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "google_monitoring", "Google Cloud Monitoring"
DIALECT = (NAME, LABEL)
STATES = {"open": FIRING, "closed": RESOLVED}


def read(headers: Headers, body: Body) -> Notification | None:
    if data := text(dig(body, "message", "data")):
        try:
            body = parse_object(base64.b64decode(data))
        except (ValueError, binascii.Error):
            return None
    incident = body.get("incident")
    if not (is_object(incident) and "incident_id" in incident and "state" in incident):
        return None
    if body.get("version") == "test":
        return pass_over(DIALECT, "test", "this message of Google Cloud Monitoring is a test.")
    issue, name = incident["incident_id"], incident.get("policy_name") or incident.get("condition_name")
    place = (incident.get("scoping_project_id"), "incident", issue)
    return make_notification(DIALECT, incident["state"], STATES, group=place, name=name, occurrence=issue)

"""OpenStatus, notification Webhook: `{"monitor": {"id", "name", "url"}, "cronTimestamp", "status": "error"}`, where status is
`error`, `degraded` or `recovered`. From docs.openstatus.dev, "Alerting", "Webhook".
"""

from triggers.payloads.fields import dig, is_object
from triggers.payloads.monitors.notification import FIRING, RESOLVED, Notification, make_notification
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "openstatus", "OpenStatus"
DIALECT = (NAME, LABEL)
STATES = {"error": FIRING, "recovered": RESOLVED}


def read(headers: Headers, body: Body) -> Notification | None:
    if not ({"status", "cronTimestamp"} <= body.keys() and is_object(body.get("monitor"))):
        return None
    monitor = body["monitor"]
    return make_notification(DIALECT, body["status"], STATES, group=(dig(monitor, "id"),), name=dig(monitor, "name"))

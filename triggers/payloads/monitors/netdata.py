"""Netdata Cloud, integration Webhook: `{"message", "alert", "info", "chart", "context", "space", "severity": "critical",
"date", "alert_url"}`, where severity is `warning`, `critical` or `clear`; and about whole nodes `{"message", "host",
"status": {"reachable", "text"}}`. From learn.netdata.cloud, "Centralized Cloud notifications", "Webhook".
"""

from triggers.payloads.fields import dig
from triggers.payloads.monitors.notification import FIRING, RESOLVED, Notification, make_notification
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "netdata", "Netdata"
DIALECT = (NAME, LABEL)
STATES = {"warning": FIRING, "critical": FIRING, "unreachable": FIRING, "clear": RESOLVED, "reachable": RESOLVED}


def read(headers: Headers, body: Body) -> Notification | None:
    name = body.get("alert") or body.get("alarm")
    if name and {"severity", "chart", "message"} <= body.keys():
        place = (body.get("space"), body.get("host") or body.get("node"), name, body["chart"])
        return make_notification(DIALECT, body["severity"], STATES, group=place, name=name)
    reachable = dig(body, "status", "reachable")
    if isinstance(reachable, bool) and "host" in body:
        word = "reachable" if reachable else "unreachable"
        return make_notification(DIALECT, word, STATES, group=("node", body["host"]), name=body["host"])
    return None

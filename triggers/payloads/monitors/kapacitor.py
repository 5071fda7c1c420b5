"""Kapacitor of InfluxData, the handler `post`: `{"id", "message", "time", "duration", "level": "CRITICAL", "previousLevel",
"data"}`, where level is `OK`, `INFO`, `WARNING` or `CRITICAL`. From docs.influxdata.com/kapacitor, "Alert event data".
"""

from triggers.payloads.monitors.notification import FIRING, RESOLVED, Notification, make_notification
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "kapacitor", "Kapacitor"
DIALECT = (NAME, LABEL)
STATES = {"warning": FIRING, "critical": FIRING, "ok": RESOLVED}


def read(headers: Headers, body: Body) -> Notification | None:
    if not {"id", "level", "duration", "message"} <= body.keys():
        return None
    return make_notification(DIALECT, body["level"], STATES, group=(body["id"],), name=body["id"])

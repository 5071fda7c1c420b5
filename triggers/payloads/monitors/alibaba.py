"""Alibaba Cloud CloudMonitor, the callback of a threshold alert: a form or JSON with `alertName`, `alertState` (`ALERT`, `OK`
or `INSUFFICIENT_DATA`), `ruleId`, `dimensions`, `curValue`, `preTriggerLevel`, `triggerLevel` and `timestamp`. From
alibabacloud.com/help, "Use the alert callback feature to send notifications about threshold-triggered alerts".

It repeats a message after the rule's mute period, and has nothing in it that identifies an occurrence.
"""

from triggers.payloads.monitors.notification import FIRING, RESOLVED, Notification, make_notification
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "cloudmonitor", "Alibaba Cloud CloudMonitor"
DIALECT = (NAME, LABEL)
STATES = {"alert": FIRING, "alarm": FIRING, "ok": RESOLVED}


def read(headers: Headers, body: Body) -> Notification | None:
    if not {"alertState", "alertName"} <= body.keys():
        return None
    place = (body.get("userId"), body.get("ruleId") or body["alertName"], body.get("dimensions"))
    return make_notification(DIALECT, body["alertState"], STATES, group=place, name=body["alertName"])

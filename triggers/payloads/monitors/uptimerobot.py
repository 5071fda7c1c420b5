"""UptimeRobot, an alert contact Webhook that sends the default values as JSON or as a form: `monitorID`, `monitorFriendlyName`,
`alertType` (1 down, 2 up, 3 a certificate or domain that expires), `alertDetails`. From uptimerobot.com's help, "Web-hook
alert contacts".
"""

from triggers.payloads.monitors.notification import FIRING, RESOLVED, Notification, make_notification, show
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "uptimerobot", "UptimeRobot"
DIALECT = (NAME, LABEL)
WORDS = {"1": "down", "2": "up", "3": "expiry"}
STATES = {"down": FIRING, "up": RESOLVED}


def read(headers: Headers, body: Body) -> Notification | None:
    if not {"monitorID", "alertType"} <= body.keys():
        return None
    kind = show(body["alertType"])
    return make_notification(
        DIALECT, WORDS.get(kind, kind), STATES, group=(body["monitorID"],), name=body.get("monitorFriendlyName")
    )

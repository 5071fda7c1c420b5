"""Pingdom, integration Webhook: `{"check_id", "check_name", "previous_state": "UP", "current_state": "DOWN",
"state_changed_timestamp"}`; transaction checks have FAILING and SUCCESS. From pingdom.com's resources, "Webhooks".
"""

from triggers.payloads.monitors.notification import FIRING, RESOLVED, Notification, make_notification
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "pingdom", "Pingdom"
DIALECT = (NAME, LABEL)
STATES = {"down": FIRING, "failing": FIRING, "up": RESOLVED, "success": RESOLVED}


def read(headers: Headers, body: Body) -> Notification | None:
    if not {"check_id", "current_state"} <= body.keys():
        return None
    return make_notification(
        DIALECT,
        body["current_state"],
        STATES,
        group=(body["check_id"],),
        name=body.get("check_name"),
        occurrence=body.get("state_changed_timestamp"),
    )

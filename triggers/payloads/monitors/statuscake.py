"""StatusCake, a contact group's webhook: a form with `Status` (`Up` or `Down`), `StatusCode`, `Name`, `URL`, `Token`. From
statuscake.com's knowledge base, "How to use the web hook URL".
"""

from triggers.payloads.monitors.notification import FIRING, RESOLVED, Notification, make_notification
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "statuscake", "StatusCake"
DIALECT = (NAME, LABEL)
STATES = {"down": FIRING, "up": RESOLVED}


def read(headers: Headers, body: Body) -> Notification | None:
    if not {"Status", "StatusCode", "URL"} <= body.keys():
        return None
    return make_notification(DIALECT, body["Status"], STATES, group=(body.get("Name"), body["URL"]), name=body.get("Name"))

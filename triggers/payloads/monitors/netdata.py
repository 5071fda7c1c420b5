"""Netdata Cloud, integration Webhook: `{"message", "alert", "info", "chart", "context", "space", "severity": "critical",
"date", "alert_url"}`, where severity is `warning`, `critical` or `clear`; and about whole nodes `{"message", "host",
"status": {"reachable", "text"}}`. Its test is `{"message", "title", "token"}`, and the token must be entered at Netdata; older
versions asked with `crc_token` in the query. From learn.netdata.cloud, "Centralized Cloud notifications", "Webhook".
"""

import json

from triggers.payloads.fields import dig
from triggers.payloads.monitors.notification import FIRING, RESOLVED, Notification, make_notification, pass_over, show
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "netdata", "Netdata"
DIALECT = (NAME, LABEL)
TEST = {"message", "title", "token"}
STATES = {"warning": FIRING, "critical": FIRING, "unreachable": FIRING, "clear": RESOLVED, "reachable": RESOLVED}


def read(headers: Headers, body: Body) -> Notification | None:
    if set(body) == TEST:
        kept = json.dumps({name: show(body[name])[:500] for name in sorted(TEST)})
        reason = (
            "this message of Netdata is a test. Enter the token at Netdata: it is in the body of this message under Deliveries."
        )
        return pass_over(DIALECT, "test", reason, kept)
    if "crc_token" in body:
        return pass_over(DIALECT, "crc_token", "Netdata asks whose link this is, which Windlass cannot answer.")
    name = body.get("alert") or body.get("alarm")
    if name and {"severity", "chart", "message"} <= body.keys():
        place = (body.get("space"), body.get("host") or body.get("node"), name, body["chart"])
        return make_notification(DIALECT, body["severity"], STATES, group=place, name=name)
    reachable = dig(body, "status", "reachable")
    if isinstance(reachable, bool) and "host" in body:
        word = "reachable" if reachable else "unreachable"
        return make_notification(DIALECT, word, STATES, group=("node", body["host"]), name=body["host"])
    return None

"""Uptime Kuma, notification type Webhook: `{"heartbeat": {"status": 0, "time", "important"}, "monitor": {"id", "name"},
"msg"}`, as JSON, in the field `data` of a form, or with GET in the query, from its server/notification-providers/webhook.js.

The status is 0 down, 1 up, 2 pending, 3 maintenance. Without a heartbeat it is a test, or about a certificate. `important` is
false in reminders that a monitor is still down (server/model/monitor.js).
"""

import re

from triggers.payloads.fields import dig, is_object, parse_object, text
from triggers.payloads.monitors.notification import FIRING, RESOLVED, Notification, make_notification, pass_over, show
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "uptime_kuma", "Uptime Kuma"
DIALECT = (NAME, LABEL)
PARTS = ("heartbeat", "monitor")
WORDS = {"0": "down", "1": "up", "2": "pending", "3": "maintenance"}
STATES = {"down": FIRING, "up": RESOLVED}
WITHOUT_BEAT = re.compile(r".{0,300}(?: Testing|certificate .{0,300}expire.{0,100})", re.DOTALL)


def read(headers: Headers, body: Body) -> Notification | None:
    if set(body) == {"data"}:
        body = parse_object(text(body["data"]))
    if not ({"msg", *PARTS} <= body.keys() or is_bare(body)):
        return None
    heartbeat, monitor = (parse_object(value) if isinstance(value, str) else value for value in map(body.get, PARTS))
    if not is_object(heartbeat):
        reason = "this message of Uptime Kuma is about no heartbeat: it is a test, or about a certificate."
        return pass_over(DIALECT, "no heartbeat", reason)
    status = show(heartbeat.get("status"))
    return make_notification(
        DIALECT,
        WORDS.get(status, status),
        STATES,
        group=(dig(monitor, "id"), dig(monitor, "name")),
        name=dig(monitor, "name"),
        occurrence=heartbeat.get("time") if heartbeat.get("important") in (True, 1) else "",
        lasts=True,
    )


def is_bare(body: Body) -> bool:
    """Return whether it is a message without a heartbeat that was sent with GET, which has its text alone."""
    return set(body) == {"msg"} and bool(WITHOUT_BEAT.fullmatch(text(body["msg"])[:1000]))

"""Datadog, integration Webhooks. Its default payload is `{"id", "title": "[Triggered] CPU is high", "body", "event_type",
"last_updated", "date", "org": {"id", "name"}}`; a custom one can add `"alert_transition": "$ALERT_TRANSITION"` and
`"alert_cycle_key": "$ALERT_CYCLE_KEY"`, which identifies an occurrence. From docs.datadoghq.com/integrations/webhooks.
"""

import re

from triggers.payloads.fields import dig, text
from triggers.payloads.monitors.notification import FIRING, RESOLVED, Notification, make_notification, pass_over, show
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "datadog", "Datadog"
DIALECT = (NAME, LABEL)
STATES = {
    **dict.fromkeys(("triggered", "re-triggered", "warn", "re-warn", "warned", "re-warned"), FIRING),
    **dict.fromkeys(("recovered", "re-recovered"), RESOLVED),
}
# "[Triggered] name", "[Re-Triggered on {host:a}] name"; "[P1] " and "[TEST]" can stand before it.
TITLE = re.compile(r"(?:\[P[1-5]\] {0,3})?\[([A-Za-z -]{2,20}?)(?: on (\{[^\]]{0,500}\}))?\] {0,3}(.{0,500})", re.DOTALL)
TEST = "[TEST]"


def read(headers: Headers, body: Body) -> Notification | None:
    fields = {str(name).lower(): value for name, value in list(body.items())[:200]}
    title = text(fields.get("title"))
    if "alert_transition" not in fields and not {"title", "event_type", "last_updated", "org"} <= fields.keys():
        return None
    if title.startswith(TEST):
        return pass_over(DIALECT, "test", "this message of Datadog is a test.")
    found = TITLE.match(title)
    word = show(fields.get("alert_transition")) or (found[1] if found else "")
    scope, name = (found[2] or "", found[3]) if found else ("", title)
    place = (dig(fields.get("org"), "id"), fields.get("alert_id"), fields.get("alert_scope") or scope, name)
    return make_notification(DIALECT, word, STATES, group=place, name=name, occurrence=fields.get("alert_cycle_key"))

"""Zabbix, a media type Webhook that sends its parameters as JSON: `{"event_id", "event_name", "event_value": "1",
"event_update_status": "0"}`, filled from {EVENT.ID}, {EVENT.NAME}, {EVENT.VALUE} and {EVENT.UPDATE.STATUS}. These names are
those of the media types that Zabbix ships (templates/media); the macros are in its manual, "Supported macros".

The value is 1 for a problem and 0 for a recovery, whose {EVENT.ID} is still that of the problem. An update is a comment, an
acknowledgement or another severity.
"""

from triggers.payloads.monitors.notification import FIRING, RESOLVED, Notification, make_notification, pass_over, show
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "zabbix", "Zabbix"
DIALECT = (NAME, LABEL)
WORDS = {"1": "problem", "0": "ok"}
STATES = {"problem": FIRING, "ok": RESOLVED, "resolved": RESOLVED}


def read(headers: Headers, body: Body) -> Notification | None:
    fields = {str(name).lower().replace(".", "_"): value for name, value in list(body.items())[:200]}
    if not {"event_id", "event_value"} <= fields.keys():
        return None
    if show(fields.get("event_update_status")) == "1":
        return pass_over(DIALECT, "update", "Zabbix reports an update of a problem, which neither begins nor ends it.")
    value = show(fields["event_value"])
    event = show(fields["event_id"])
    word, name = WORDS.get(value, value), fields.get("event_name") or fields.get("trigger_name")
    return make_notification(DIALECT, word, STATES, group=("event", event), name=name, occurrence=event)

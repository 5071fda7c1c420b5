"""Any monitor whose message is a template of its user, such as Gatus, Healthchecks and the Netdata agent: `{"alert": "<name>",
"state": "<word>", "occurrence": "<id>"}`. docs/triggers.md has the templates.

`state` is any usual word (STATES); `occurrence` can be left out.
"""

from triggers.payloads.monitors.notification import Notification, make_notification
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "template", "Monitor with a template"
DIALECT = (NAME, LABEL)


def read(headers: Headers, body: Body) -> Notification | None:
    name, state = body.get("alert"), body.get("state")
    if not (isinstance(name, str) and name.strip() and isinstance(state, str)):
        return None
    return make_notification(DIALECT, state, group=(name,), name=name, occurrence=body.get("occurrence"))

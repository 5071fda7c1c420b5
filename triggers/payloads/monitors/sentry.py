"""Sentry, an internal integration: header `Sentry-Hook-Resource: metric_alert` and `{"action": "critical", "data":
{"metric_alert": {"id", "alert_rule": {"name"}}, "description_title"}}`, where action is `critical`, `warning` or `resolved`.
An issue alert (`event_alert`, action `triggered`) has no end. From docs.sentry.io, "Integration platform", "Webhooks".
"""

from triggers.payloads.fields import dig
from triggers.payloads.monitors.notification import FIRING, RESOLVED, Notification, make_notification, pass_over
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "sentry", "Sentry"
DIALECT = (NAME, LABEL)
RESOURCE = "sentry-hook-resource"
STATES = {"critical": FIRING, "warning": FIRING, "open": FIRING, "triggered": FIRING, "resolved": RESOLVED}


def read(headers: Headers, body: Body) -> Notification | None:
    resource, data = headers.get(RESOURCE, "").lower(), body.get("data")
    alert, event = dig(data, "metric_alert"), dig(data, "event")
    if resource in {"", "metric_alert"} and dig(alert, "alert_rule"):
        name, occurrence = dig(alert, "alert_rule", "name") or dig(data, "description_title"), dig(alert, "id")
        place = (dig(alert, "organization_id"), dig(alert, "alert_rule", "id"))
    elif resource == "event_alert":
        name, occurrence = dig(data, "triggered_rule"), dig(event, "event_id")
        place = (dig(event, "project"), name)
    elif resource:
        return pass_over(
            DIALECT, resource, f"this message of Sentry is about {resource[:40]}, and not a metric or an issue alert."
        )
    else:
        return None
    return make_notification(DIALECT, body.get("action"), STATES, group=place, name=name, occurrence=occurrence)

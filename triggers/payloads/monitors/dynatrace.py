"""Dynatrace, problem notification "Custom integration" with its default payload: `{"State": "OPEN", "ProblemID", "PID",
"ProblemTitle"}`, where State is `OPEN`, `MERGED` or `RESOLVED`. From docs.dynatrace.com, "Webhook integration".
"""

from triggers.payloads.monitors.notification import FIRING, RESOLVED, Notification, make_notification
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "dynatrace", "Dynatrace"
DIALECT = (NAME, LABEL)
STATES = {"open": FIRING, "resolved": RESOLVED, "closed": RESOLVED}


def read(headers: Headers, body: Body) -> Notification | None:
    if not {"State", "ProblemID"} <= body.keys():
        return None
    problem = body.get("PID") or body["ProblemID"]
    return make_notification(
        DIALECT, body["State"], STATES, group=("problem", problem), name=body.get("ProblemTitle"), occurrence=problem
    )

"""Amazon CloudWatch alarms: within a notification of Amazon SNS, as SNS delivers them raw, or as events of EventBridge.

SNS sends `{"Type": "Notification", "TopicArn", "Message": "<JSON of the alarm>"}` as text/plain; the alarm is `{"AlarmName",
"AlarmArn", "NewStateValue": "ALARM", "StateChangeTime"}`. The first message of a subscription is a `SubscriptionConfirmation`.
From the SNS developer guide, "HTTP/HTTPS subscription confirmation JSON format", and the CloudWatch user guide, "Alarm events
and EventBridge".
"""

import json
from urllib.parse import urlsplit

from triggers.payloads.fields import dig, parse_object, text
from triggers.payloads.monitors.notification import FIRING, RESOLVED, Notification, make_notification, pass_over, show
from triggers.payloads.payload import Body, Headers

NAME, LABEL = "cloudwatch", "Amazon CloudWatch"
DIALECT = (NAME, LABEL)
STATES = {"alarm": FIRING, "ok": RESOLVED}
CONFIRMATION, UNSUBSCRIBED = "SubscriptionConfirmation", "UnsubscribeConfirmation"
HOSTS = (".amazonaws.com", ".amazonaws.com.cn")
URL_LENGTH = 2000


def read(headers: Headers, body: Body) -> Notification | None:
    if "TopicArn" not in body:
        return read_alarm(body)
    match body.get("Type"):
        case "SubscriptionConfirmation":
            return explain_confirmation(body)
        case "UnsubscribeConfirmation":
            return pass_over(DIALECT, UNSUBSCRIBED, "Amazon SNS has ended the subscription of this link to its topic.")
        case "Notification":
            return read_alarm(parse_object(text(body.get("Message"))))
    return None


def explain_confirmation(body: Body) -> Notification:
    """Say how to confirm. The address in the message is kept for a person, and never requested: anybody could name any."""
    url = text(body.get("SubscribeURL"))[:URL_LENGTH]
    if not is_of_amazon(url):
        return pass_over(
            DIALECT, CONFIRMATION, "the SubscribeURL of this message is not an address of Amazon, so it was not kept."
        )
    return pass_over(
        DIALECT,
        CONFIRMATION,
        "Amazon SNS asks to confirm the subscription of this link. Open the SubscribeURL in a browser: it is in the body of "
        "this message under Deliveries. Alarms arrive after that.",
        kept=json.dumps({"Type": CONFIRMATION, "TopicArn": show(body.get("TopicArn"))[:300], "SubscribeURL": url}),
    )


def is_of_amazon(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and (parts.hostname or "").endswith(HOSTS)
    except ValueError:
        return False


def read_alarm(body: Body) -> Notification | None:
    if "NewStateValue" in body and "AlarmName" in body:
        name, word, moment = body["AlarmName"], body["NewStateValue"], body.get("StateChangeTime")
        place = (body.get("AlarmArn") or body.get("Region"), name)
    elif body.get("detail-type") == "CloudWatch Alarm State Change":
        name, word = dig(body, "detail", "alarmName"), dig(body, "detail", "state", "value")
        moment = dig(body, "detail", "state", "timestamp")
        place = (f"{show(body.get('account'))} {show(body.get('region'))}", name)
    else:
        return None
    return make_notification(DIALECT, word, STATES, group=place, name=name, occurrence=moment)

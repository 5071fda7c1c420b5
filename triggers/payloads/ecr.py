"""Amazon ECR, which speaks through EventBridge: raw, as the CloudEvents of Argo CD Image Updater's transformer, or in SNS.

`{"source": "aws.ecr", "account", "region", "detail": {"action-type": "PUSH", "result": "SUCCESS", "repository-name",
"image-tag", "image-digest"}}`, from the ECR user guide.
"""

import re
from typing import Any

from triggers.payloads import signatures
from triggers.payloads.fields import REGION, dig, parse_object, text
from triggers.payloads.payload import Body, Headers, Payload
from triggers.payloads.reading import Reading

NAME, LABEL, RELAYS = "ecr", "Amazon ECR", False
has_signature, check_signature = signatures.AUTHORIZATION
ACCOUNT = re.compile(r"[0-9]{12}")
SNS_TYPES = ("Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation")


def recognizes(headers: Headers, body: Body) -> bool:
    return is_wrapped(body) or is_cloud_event(body) or body.get("source") == "aws.ecr"


def is_wrapped(body: Body) -> bool:
    return body.get("Type") in SNS_TYPES and "TopicArn" in body


def is_cloud_event(body: Body) -> bool:
    return "specversion" in body and text(body.get("type")).startswith("com.amazon.ecr.")


def read(headers: Headers, body: Body) -> Payload:
    if not is_wrapped(body):
        reading = Reading(NAME, delivery_id=body.get("id"))
        read_message(reading, body)
        return reading.finish()
    reading = Reading(NAME, body["Type"], body.get("MessageId"))
    message = parse_object(text(body.get("Message"))) if body["Type"] == "Notification" else {}
    if body["Type"] != "Notification":
        reading.pass_over("Amazon SNS asks to confirm a subscription: let EventBridge call this link itself.")
    elif recognizes({}, message) and not is_wrapped(message):
        read_message(reading, message)
    else:
        reading.pass_over("The notification of Amazon SNS holds no event of ECR.")
    return reading.finish()


def read_message(reading: Reading, body: Body) -> None:
    read_cloud_event(reading, body) if is_cloud_event(body) else read_event(reading, body)


def read_event(reading: Reading, body: Body) -> None:
    detail = body.get("detail")
    name, action = dig(detail, "repository-name"), dig(detail, "action-type")
    reading.event = text(action) or body.get("detail-type")
    if action != "PUSH":
        reading.pass_over_event(reading.event, name)
    elif dig(detail, "result") != "SUCCESS":
        reading.pass_over("The push did not succeed.")
    else:
        host = make_host(body.get("account"), body.get("region"))
        reading.push(name, dig(detail, "image-tag"), dig(detail, "image-digest"), host)


def read_cloud_event(reading: Reading, body: Body) -> None:
    """`source` is `urn:aws:ecr:<region>:<account>:repository/<name>`."""
    data = body.get("data")
    reading.event = body.get("type")
    if body.get("type") != "com.amazon.ecr.image.push":
        reading.pass_over_event(body.get("type"), dig(data, "repositoryName"))
        return
    parts = [*text(body.get("source")).split(":", 5), "", "", "", "", ""]
    host = make_host(text(dig(data, "registryId")) or parts[4], parts[3])
    reading.push(dig(data, "repositoryName"), dig(data, "imageTag"), dig(data, "imageDigest"), host)


def make_host(account: Any, region: Any) -> str:
    """Empty where either is not told."""
    if not (ACCOUNT.fullmatch(text(account)) and REGION.fullmatch(text(region))):
        return ""
    return f"{account}.dkr.ecr.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"

"""Amazon ECR, through EventBridge: raw events, CloudEvents of Argo CD Image Updater's transformer, or either within SNS.

`{"source": "aws.ecr", "account", "region", "detail": {"action-type": "PUSH", "result": "SUCCESS", "repository-name",
"image-tag", "image-digest"}}`, from the ECR user guide.
"""

import re
from typing import Any

from triggers.payloads import signatures
from triggers.payloads.builder import PayloadBuilder
from triggers.payloads.fields import REGION, dig, parse_object, quote_value, text
from triggers.payloads.media_types import name_side_product
from triggers.payloads.payload import Body, Headers, Payload

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
        builder = PayloadBuilder(NAME, delivery_id=body.get("id"))
        read_ecr_message(builder, body)
        return builder.finish()
    builder = PayloadBuilder(NAME, body["Type"], body.get("MessageId"))
    message = parse_object(text(body.get("Message"))) if body["Type"] == "Notification" else {}
    if body["Type"] != "Notification":
        builder.pass_over("Confirming an Amazon SNS subscription is not supported: let EventBridge call this link itself.")
    elif recognizes({}, message) and not is_wrapped(message):
        read_ecr_message(builder, message)
    else:
        builder.pass_over("The notification of Amazon SNS contains no event of ECR.")
    return builder.finish()


def read_ecr_message(builder: PayloadBuilder, body: Body) -> None:
    read_cloud_event(builder, body) if is_cloud_event(body) else read_ecr_event(builder, body)


def read_ecr_event(builder: PayloadBuilder, body: Body) -> None:
    detail = body.get("detail")
    name, action = dig(detail, "repository-name"), dig(detail, "action-type")
    builder.event = text(action) or body.get("detail-type")
    if action != "PUSH":
        builder.pass_over_event(builder.event, name)
    elif dig(detail, "result") != "SUCCESS":
        builder.pass_over("The push did not succeed.")
    elif product := name_side_product(dig(detail, "artifact-media-type"), dig(detail, "manifest-media-type")):
        builder.pass_over(f"{quote_value(dig(detail, 'image-tag'))} of {quote_value(name)} is {product}, not an image.")
    else:
        host = make_host(body.get("account"), body.get("region"))
        builder.add_push(name, dig(detail, "image-tag"), dig(detail, "image-digest"), host)


def read_cloud_event(builder: PayloadBuilder, body: Body) -> None:
    """Read a CloudEvent, whose `source` is `urn:aws:ecr:<region>:<account>:repository/<name>`."""
    data = body.get("data")
    builder.event = body.get("type")
    if body.get("type") != "com.amazon.ecr.image.push":
        builder.pass_over_event(body.get("type"), dig(data, "repositoryName"))
        return
    parts = [*text(body.get("source")).split(":", 5), "", "", "", "", ""]
    host = make_host(text(dig(data, "registryId")) or parts[4], parts[3])
    builder.add_push(dig(data, "repositoryName"), dig(data, "imageTag"), dig(data, "imageDigest"), host)


def make_host(account: Any, region: Any) -> str:
    """Return the registry's host; empty when account or region is missing or malformed."""
    if not (ACCOUNT.fullmatch(text(account)) and REGION.fullmatch(text(region))):
        return ""
    return f"{account}.dkr.ecr.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"

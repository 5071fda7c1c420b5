"""What's Up Docker, which reports a container whose image has an update.

`{"watcher", "image": {"registry": {"url"}, "name", "tag": {"value"}}, "result": {"tag", "digest"}, "updateAvailable"}`, from
its docs of the http trigger. `id` is the container's id.
"""

from triggers.payloads import signatures
from triggers.payloads.builder import PayloadBuilder
from triggers.payloads.fields import dig, is_object, quote_value
from triggers.payloads.payload import Body, Headers, Payload

NAME, LABEL, RELAYS = "wud", "What's Up Docker", True
has_signature, check_signature = signatures.AUTHORIZATION


def recognizes(headers: Headers, body: Body) -> bool:
    return is_object(body.get("image")) and ("watcher" in body or "result" in body)


def read(headers: Headers, body: Body) -> Payload:
    image, result = body.get("image"), body.get("result")
    builder = PayloadBuilder(NAME, dig(body, "updateKind", "kind"))
    if body.get("updateAvailable") is False:
        builder.pass_over(f"The container {quote_value(body.get('name'))} has no update.")
        return builder.finish()
    tag = dig(result, "tag") or dig(image, "tag", "value")
    builder.add_push(dig(image, "name"), tag, dig(result, "digest"), dig(image, "registry", "url"))
    return builder.finish()

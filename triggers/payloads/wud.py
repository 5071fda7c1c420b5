"""What's Up Docker, which tells of a container whose image has news: `{"watcher", "image": {"registry": {"url"}, "name", "tag":
{"value"}}, "result": {"tag", "digest"}, "updateAvailable"}`, from its docs of the http trigger. `id` is the container's.
"""

from triggers.payloads import signatures
from triggers.payloads.fields import dig, is_object, show
from triggers.payloads.payload import Body, Headers, Payload
from triggers.payloads.reading import Reading

NAME, LABEL, RELAYS = "wud", "What's Up Docker", True
has_signature, check_signature = signatures.AUTHORIZATION


def recognizes(headers: Headers, body: Body) -> bool:
    return is_object(body.get("image")) and ("watcher" in body or "result" in body)


def read(headers: Headers, body: Body) -> Payload:
    image, result = body.get("image"), body.get("result")
    reading = Reading(NAME, dig(body, "updateKind", "kind"))
    if body.get("updateAvailable") is False:
        reading.pass_over(f"Nothing is new for the container {show(body.get('name'))}.")
        return reading.finish()
    tag = dig(result, "tag") or dig(image, "tag", "value")
    reading.push(dig(image, "name"), tag, dig(result, "digest"), dig(image, "registry", "url"))
    return reading.finish()

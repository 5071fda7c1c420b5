"""Any caller, such as a pipeline with curl: `{"image": "registry.example.com/team/app", "tag": "1.2", "digest": "sha256:…"}` or
`{"image": "registry.example.com/team/app:1.2"}`. As in Docker, an image without tag and digest means its tag latest.
"""

from clusters.registry.reference import DEFAULT_TAG
from triggers.payloads import signatures
from triggers.payloads.builder import PayloadBuilder
from triggers.payloads.fields import split_reference
from triggers.payloads.payload import Body, Headers, Payload

NAME, LABEL, RELAYS = "generic", "Another sender", True
has_signature, check_signature = signatures.HUB_SIGNATURE_OR_AUTHORIZATION


def recognizes(headers: Headers, body: Body) -> bool:
    return isinstance(body.get("image"), str)


def read(headers: Headers, body: Body) -> Payload:
    builder = PayloadBuilder(NAME, body.get("event"), headers.get("idempotency-key"))
    image, tag, digest = body["image"], body.get("tag"), body.get("digest")
    _, _, own_tag, own_digest = split_reference(image[:1000])
    if not (tag or digest or own_tag or own_digest):
        tag = DEFAULT_TAG
    builder.add_reference(image, tag, digest)
    return builder.finish()

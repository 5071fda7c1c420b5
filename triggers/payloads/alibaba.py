"""Alibaba Cloud Container Registry: `{"push_data": {"tag", "digest"}, "repository": {"repo_full_name", "region"}}`.

The message lacks the host of an Enterprise instance; the host of other instances follows from the region.
"""

from triggers.payloads import signatures
from triggers.payloads.builder import PayloadBuilder
from triggers.payloads.fields import REGION, dig, is_object, text
from triggers.payloads.payload import Body, Headers, Payload

NAME, LABEL, RELAYS = "alibaba", "Alibaba Cloud ACR", False
has_signature, check_signature = signatures.NONE


def recognizes(headers: Headers, body: Body) -> bool:
    values = [dig(body, "repository", key) for key in ("repo_full_name", "region")]
    return is_object(body.get("push_data")) and any(isinstance(value, str) for value in values)


def read(headers: Headers, body: Body) -> Payload:
    builder = PayloadBuilder(NAME, "push")
    repository, pushed = dig(body, "repository"), dig(body, "push_data")
    name = text(dig(repository, "repo_full_name")) or f"{text(dig(repository, 'namespace'))}/{text(dig(repository, 'name'))}"
    region = text(dig(repository, "region"))
    host = f"registry.{region}.aliyuncs.com" if REGION.fullmatch(region) else ""
    builder.add_push(name, dig(pushed, "tag"), dig(pushed, "digest"), host)
    return builder.finish()

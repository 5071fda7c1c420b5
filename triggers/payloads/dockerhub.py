"""Docker Hub: `{"push_data": {"tag"}, "repository": {"repo_name"}}`, without a digest.

It sends several messages for one push.
"""

from triggers.payloads import signatures
from triggers.payloads.builder import PayloadBuilder
from triggers.payloads.fields import dig, is_object, text
from triggers.payloads.payload import Body, Headers, Payload

NAME, LABEL, RELAYS = "dockerhub", "Docker Hub", False
has_signature, check_signature = signatures.NONE


def recognizes(headers: Headers, body: Body) -> bool:
    return is_object(body.get("push_data")) and is_object(body.get("repository"))


def read(headers: Headers, body: Body) -> Payload:
    builder = PayloadBuilder(NAME, "push")
    repository = dig(body, "repository")
    name = text(dig(repository, "repo_name")) or f"{text(dig(repository, 'namespace'))}/{text(dig(repository, 'name'))}"
    path = name if "/" in name else f"library/{name}"
    builder.add_push(path, dig(body, "push_data", "tag"), host="docker.io")
    return builder.finish()

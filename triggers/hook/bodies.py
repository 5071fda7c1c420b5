"""Reading what callers send. Parameters may stand in the query, a form or a JSON body; the query wins.

Bodies are read only when a parameter is not in the query, and a body that cannot be read counts as empty: a registry's or
a CI system's own payload must never keep a plain redeploy from running.
"""

import io
import json
import zlib
from functools import cached_property
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, QueryDict
from django.http.multipartparser import MultiPartParser, MultiPartParserError

# All that a trigger's link takes. A body that has anything else is a message of its sender's own.
PARAMETERS = frozenset({"triggerUrl", "secret", "type", "step", "wait", "tag"})
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


class BodyTooLarge(Exception):
    """The body, or what it unpacks to, is larger than settings.HOOK_BODY_LIMIT."""


def read_body(request: HttpRequest) -> bytes:
    """The body, unpacked when gzipped. Raises BodyTooLarge."""
    limit = settings.HOOK_BODY_LIMIT
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        body = request.META["wsgi.input"].read(limit + 1)  # Django reads no body without a Content-Length
    else:
        try:
            body = request.body
        except RequestDataTooBig as error:
            raise BodyTooLarge from error
    if request.headers.get("Content-Encoding", "").lower() == "gzip":
        body = _gunzip(body, limit)
    if len(body) > limit:
        raise BodyTooLarge
    return body


def _gunzip(body: bytes, limit: int) -> bytes:
    """At most `limit` + 1 bytes are unpacked, whatever the body claims; a broken stream counts as empty."""
    try:
        return zlib.decompressobj(wbits=31).decompress(body, limit + 1)
    except zlib.error:
        return b""


def parse_body(request: HttpRequest, body: bytes) -> dict[str, Any]:
    """The fields of a form or of a JSON object; a form's `payload` field holds JSON, as GitHub sends it."""
    content_type = (request.content_type or "").lower()
    if content_type in {FORM, MULTIPART} and not body.lstrip().startswith(b"{"):
        fields: dict[str, Any] = _parse_form(request, body, content_type)
        if "payload" in fields:
            fields = {**_parse_json(str(fields["payload"]).encode()), **fields}
        return fields
    return _parse_json(body)


def _parse_form(request: HttpRequest, body: bytes, content_type: str) -> dict[str, Any]:
    try:
        if content_type == FORM:
            return QueryDict(body, encoding=request.encoding).dict()
        meta = {**request.META, "CONTENT_LENGTH": len(body)}
        return MultiPartParser(meta, io.BytesIO(body), request.upload_handlers).parse()[0].dict()
    except (MultiPartParserError, TooManyFieldsSent, RequestDataTooBig, LookupError):
        return {}


def _parse_json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


class Parameters:
    """A request's parameters by name; the body is read at the first name that the query does not have."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    def get(self, name: str) -> Any:
        """A string, or a JSON value; None when it is nowhere. Raises BodyTooLarge."""
        return self._request.GET[name] if name in self._request.GET else self.fields.get(name)

    def get_own(self, name: str) -> Any:
        """As `get`, for a word that registries use too: not from a body that holds more than a link's parameters."""
        if name not in self._request.GET and not self.fields.keys() <= PARAMETERS:
            return None
        return self.get(name)

    @cached_property
    def raw(self) -> bytes:
        """The body. Raises BodyTooLarge."""
        return read_body(self._request)

    @cached_property
    def fields(self) -> dict[str, Any]:
        """What the body holds. Raises BodyTooLarge."""
        return parse_body(self._request, self.raw)

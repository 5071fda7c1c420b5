"""The parameters and the body of a request. A parameter can be in the query, in a form or in a JSON body; the query wins.

A body is read only when a parameter is not in the query. A body that cannot be read counts as empty: the payload of a registry
or a CI system must never keep a plain redeploy from running.

Before the secret is known to be right, only a small plain body is looked at (`Parameters.get_credential`): to unpack and to
parse takes time, and whoever has no secret must not be able to take it.
"""

import io
import json
import zlib
from typing import Any
from urllib.parse import parse_qsl

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, QueryDict
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.utils.functional import cached_property

from triggers.refusals import CallRefused

# Every parameter of a trigger's link. A body with any other field is a message in the sender's own format.
PARAMETERS = frozenset({"triggerUrl", "secret", "type", "step", "wait", "tag"})
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
# Of a body that is read before the secret is known: 0.5 ms, whatever is in it.
CREDENTIALS_LIMIT = 4096  # bytes
CREDENTIALS_FIELDS = 32


class BodyTooLarge(CallRefused):
    """The body is larger than settings.HOOK_BODY_LIMIT, before or after it is decompressed."""

    status, code = 413, "body_too_large"

    def __init__(self) -> None:
        super().__init__(f"The body is larger than {settings.HOOK_BODY_LIMIT // (1024 * 1024)} MB.")


class CredentialsTooLarge(CallRefused):
    """The link is not in the address, and the body is larger than what is searched for it."""

    status, code = 413, "body_too_large"

    def __init__(self) -> None:
        super().__init__(
            f"The link's triggerUrl and secret are not in the address, and are looked for only in a body of up to "
            f"{CREDENTIALS_LIMIT // 1024} kB. Put them in the address; the secret can also be in the X-Trigger-Secret header."
        )


def check_body_size(request: HttpRequest) -> None:
    """Refuse a body over the limit, also where nothing in it is needed. Raises BodyTooLarge."""
    if body_length(request) > settings.HOOK_BODY_LIMIT:
        raise BodyTooLarge


def body_length(request: HttpRequest) -> int:
    """Return the body's length in bytes, as it was sent. The server gives chunked bodies one (`console.server.environ`)."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    return int(length[:20]) if length.isascii() and length.isdigit() else 0


def has_body(request: HttpRequest) -> bool:
    return body_length(request) > 0


def read_request_body(request: HttpRequest) -> bytes:
    """Return the body, decompressed if it is gzipped. Raises BodyTooLarge."""
    limit = settings.HOOK_BODY_LIMIT
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
    """Decompress at most `limit` + 1 bytes, whatever the body claims. A broken stream counts as empty."""
    try:
        return zlib.decompressobj(wbits=31).decompress(body, limit + 1)
    except zlib.error:
        return b""


def parse_body(request: HttpRequest, body: bytes) -> dict[str, Any]:
    """Return the fields of a form or of a JSON object. A form's `payload` field can hold JSON, as GitHub sends it."""
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
    """Return the object; its texts can have half characters, since `"\\ud800"` is JSON."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def parse_credentials(request: HttpRequest, body: bytes) -> dict[str, Any]:
    """Return the fields of a small plain body like `parse_body`, but none of a form with many of them."""
    content_type = (request.content_type or "").lower()
    if content_type == MULTIPART and body.count(b"--") > CREDENTIALS_FIELDS:
        return {}
    if content_type == FORM and not body.lstrip().startswith(b"{"):
        try:
            parse_qsl(body, max_num_fields=CREDENTIALS_FIELDS)
        except ValueError:
            return {}
    return parse_body(request, body)


class Parameters:
    """A request's parameters by name. The body is read at the first name that is not in the query."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    def get(self, name: str) -> Any:
        """Return a string or a JSON value; None for a missing parameter. Raises BodyTooLarge."""
        return self._request.GET[name] if name in self._request.GET else self.fields.get(name)

    def get_own(self, name: str) -> Any:
        """Return the same as `get`, but ignore a body with more than a link's parameters: registries use the name too."""
        if name not in self._request.GET and not self.fields.keys() <= PARAMETERS:
            return None
        return self.get(name)

    def get_credential(self, name: str) -> Any:
        """Return a parameter that proves who calls, from the query or a small plain body. Raises CredentialsTooLarge."""
        return self._request.GET[name] if name in self._request.GET else self._credentials.get(name)

    @cached_property
    def _credentials(self) -> dict[str, Any]:
        if not has_body(self._request) or "Content-Encoding" in self._request.headers:
            return {}
        if body_length(self._request) > CREDENTIALS_LIMIT:
            raise CredentialsTooLarge
        return parse_credentials(self._request, read_request_body(self._request))

    @cached_property
    def raw(self) -> bytes:
        """The body as bytes. Raises BodyTooLarge."""
        return read_request_body(self._request)

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The fields in the body. Raises BodyTooLarge."""
        return parse_body(self._request, self.raw)

"""The parameters and the body of a request. A parameter can be in the query, in a form or in a JSON body.

Two different values of one parameter are refused (`check_agreement`). A body that cannot be read counts as empty: the payload
of a registry or a CI system must never keep a plain redeploy from running.

Before the secret is known to be right, only a small plain body is looked at (`Parameters.get_credential`): to unpack and to
parse takes time, and whoever has no secret must not be able to take it.
"""

import contextlib
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

from triggers.link_repair import repair_query, repair_value
from triggers.refusals import CallRefused

# Every parameter of a trigger's link. A body with any other field is a message in the sender's own format.
PARAMETERS = frozenset({"triggerUrl", "secret", "type", "step", "wait", "tag"})
# Those that count in the address alone, since senders use the names for other things in a body.
ADDRESS_PARAMETERS = PARAMETERS | {"commit", "repository"}
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


class ContradictoryParameter(CallRefused):
    """One parameter was sent with different values."""

    code = "contradictory_parameter"

    def __init__(self, name: str) -> None:
        super().__init__(f"The {name} parameter was sent with two different values. Nothing was done; send it once.")


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
    if is_form(request, body):
        fields: dict[str, Any] = _parse_form(request, body).dict()
        if "payload" in fields:
            fields = {**_parse_json(str(fields["payload"]).encode()), **fields}
        return fields
    return _parse_json(body)


def is_form(request: HttpRequest, body: bytes) -> bool:
    """curl's `-d` calls JSON a form, so the body decides too."""
    return (request.content_type or "").lower() in {FORM, MULTIPART} and not body.lstrip().startswith(b"{")


def list_values(request: HttpRequest, body: bytes, name: str) -> list[Any]:
    """Return every value that a small body has for a field: a form and a JSON object can name it more than once."""
    if is_form(request, body):
        return _parse_form(request, body).getlist(name)
    values: list[Any] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values[:] = [value for key, value in pairs if key == name]  # of the outermost object, which is read to its end last
        return dict(pairs)

    with contextlib.suppress(ValueError, RecursionError):
        json.loads(body, object_pairs_hook=note)
    return values


def _parse_form(request: HttpRequest, body: bytes) -> QueryDict:
    try:
        if (request.content_type or "").lower() == FORM:
            return QueryDict(body, encoding=request.encoding)
        meta = {**request.META, "CONTENT_LENGTH": len(body)}
        return MultiPartParser(meta, io.BytesIO(body), request.upload_handlers).parse()[0]
    except (MultiPartParserError, TooManyFieldsSent, RequestDataTooBig, LookupError):
        return QueryDict()


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
    """A request's parameters by name. The body is read at the first name that is not in the query.

    What happened to a link on its way is undone where it can mean nothing else (triggers.link_repair).
    """

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    def get(self, name: str) -> Any:
        """Return a string or a JSON value; None for a missing parameter. Raises BodyTooLarge and ContradictoryParameter."""
        value: Any = self.get_from_query(name)
        if value is None:
            value = self.fields.get(name)
        return repair_value(value) if isinstance(value, str) else value

    def get_from_query(self, name: str) -> str | None:
        """Raises ContradictoryParameter for different values of one name."""
        values = self._query.getlist(name)
        if len(values) > 1 and len({repair_value(value) for value in values}) > 1:
            raise ContradictoryParameter(name)
        return values[0] if values else None

    def get_own(self, name: str) -> Any:
        """Return the same as `get`, but ignore a body with more than a link's parameters: registries use the name too."""
        if name not in self._query and not self.has_own_body:
            return None
        return self.get(name)

    def get_credential(self, name: str) -> Any:
        """Return a parameter that proves who calls, from the query or a small plain body.

        Raises CredentialsTooLarge and ContradictoryParameter.
        """
        return self._credentials.get(name) if (value := self.get_from_query(name)) is None else value

    def check_agreement(self) -> None:
        """Refuse values that contradict each other: two of one name, in the query, in the body, or one in each.

        Raises BodyTooLarge and ContradictoryParameter.
        """
        for name in PARAMETERS:
            sent = [self.get_from_query(name), *self._list_own(name)]
            if len({repair_value(str(value)) for value in sent if value is not None}) > 1:
                raise ContradictoryParameter(name)

    @cached_property
    def _query(self) -> QueryDict:
        query = self._request.META.get("QUERY_STRING", "")
        repaired = repair_query(query)
        return self._request.GET if repaired == query else QueryDict(repaired, encoding=self._request.encoding)

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

    @cached_property
    def has_own_body(self) -> bool:
        """Whether the body has a link's parameters and nothing else."""
        return self.fields.keys() <= PARAMETERS

    def _list_own(self, name: str) -> list[Any]:
        if not (has_body(self._request) and self.has_own_body and name in self.fields):
            return []
        return list_values(self._request, self.raw, name)

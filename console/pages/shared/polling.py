"""Polls that cost little: a piece of a page that is still as the page shows it is answered with nothing.

An answer to htmx names the state of the piece that it carries, a strong hash, in the header `Windlass-State`. console.js sends
it back with the next poll, and a piece in the same state is answered with 204 and no body. What passes by itself is left out
of the hash: the words inside `<time>`, which console.js keeps fresh, and the tokens of forms, which differ at every look.
"""

import hashlib
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

STATE_HEADER = "Windlass-State"
PASSING = re.compile(rb'(<time [^>]*>)[^<]*</time>|<input type="hidden" name="csrfmiddlewaretoken" value="[^"]*">')


def answer_changes(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """The view, answering a poll for what is shown already with 204. It renders whatever is asked as before."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        if not isinstance(response, HttpResponse) or not _is_piece(request, response):
            return response
        state = hash_piece(response.content)
        if request.headers.get(STATE_HEADER) == state:
            return HttpResponse(status=204)
        response[STATE_HEADER] = state
        return response

    return answer


def hash_piece(content: bytes) -> str:
    """The same for the same piece, whenever it is rendered."""
    return hashlib.blake2b(PASSING.sub(rb"\1", content), digest_size=16).hexdigest()


def _is_piece(request: HttpRequest, response: HttpResponse) -> bool:
    asked = request.method == "GET" and bool(request.htmx)  # type: ignore[attr-defined]
    return asked and response.status_code == 200 and getattr(response, "is_rendered", True)

"""Cheap polls: a piece of a page that has not changed is answered with an empty response.

A response to htmx carries a strong hash of its piece in the header `Windlass-State`. console.js sends the hash back with the
next poll, and an unchanged piece gets 204 without a body. The hash leaves out what differs in every rendering: the words
inside `<time>`, which console.js keeps fresh, and the CSRF tokens of forms. An open page sends the header with every request
that it makes by itself, empty if it knows no hash.
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
    """Wrap a view so that a poll for an unchanged piece gets 204. The view itself renders as before."""

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
    """Return a hash that stays the same while the piece does, whenever it is rendered."""
    return hashlib.blake2b(PASSING.sub(rb"\1", content), digest_size=16).hexdigest()


def _is_piece(request: HttpRequest, response: HttpResponse) -> bool:
    is_htmx_get = request.method == "GET" and bool(request.htmx)  # type: ignore[attr-defined]
    return is_htmx_get and response.status_code == 200 and getattr(response, "is_rendered", True)

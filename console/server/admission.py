"""Who may send a body larger than what is read for anyone: whoever has a link's secret in the address or in a header, and
whoever is signed in. This is asked before more of the body is read."""

from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth import get_user
from django.core.handlers.wsgi import WSGIRequest
from django.db import DatabaseError, close_old_connections
from django.http import HttpRequest
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from clusters.api.authentication import TokenAuthentication
from console.server.environ import LINKS_PREFIX
from console.sessions import SessionStore
from triggers.hook.authentication import has_proof

log = structlog.get_logger("windlass.server")


def may_send_large_bodies(environ: dict[str, Any]) -> bool:
    """`environ` is WSGI's, with a body that is not to be read. No view runs, so nothing else takes care of connections."""
    close_old_connections()
    try:
        return has_reason(WSGIRequest(environ))
    except DatabaseError as error:
        log.error("the database does not say who sends a large body", error=str(error))
        return False
    finally:
        close_old_connections()


def has_reason(request: HttpRequest) -> bool:
    """Raises DatabaseError."""
    return has_proof(request) if request.path_info.startswith(LINKS_PREFIX) else is_signed_in(request)


def is_signed_in(request: HttpRequest) -> bool:
    request.session = SessionStore(request.COOKIES.get(settings.SESSION_COOKIE_NAME))
    if get_user(request).is_authenticated:
        return True
    try:
        return TokenAuthentication(notes_use=False).authenticate(Request(request)) is not None
    except AuthenticationFailed:
        return False

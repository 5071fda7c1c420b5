"""Middleware for pages that trigger links skip: a link has no session, user or page, and is called by the thousand."""

from typing import Any

from csp.middleware import CSPMiddleware
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase

LINKS = {"/hook/trigger", "/hook/trigger/"}


class PagesOnly:
    """A mixin that makes a middleware pass requests for trigger links straight through."""

    get_response: Any  # set by the middleware class

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        inner: Any = super()
        response: HttpResponseBase = (self.get_response if request.path_info in LINKS else inner.__call__)(request)
        return response


class PagePolicy(PagesOnly, CSPMiddleware):
    pass


class PageSessions(PagesOnly, SessionMiddleware):
    pass


class PageUsers(PagesOnly, AuthenticationMiddleware):
    pass


class PageMessages(PagesOnly, MessageMiddleware):
    pass

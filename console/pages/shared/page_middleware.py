"""What pages need and a trigger's link does not: a link has no session, no user and no page, and is called by the thousand."""

from typing import Any

from csp.middleware import CSPMiddleware
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase

LINKS = {"/hook/trigger", "/hook/trigger/"}


class PagesOnly:
    get_response: Any  # of the middleware that it is mixed into

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

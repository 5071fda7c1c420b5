"""Middleware for pages that trigger links skip: a link has no session, user or page, and is called by the thousand."""

from typing import Any, cast

from csp.middleware import CSPMiddleware
from django.contrib.auth.middleware import AuthenticationMiddleware, get_user
from django.contrib.auth.models import User
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.functional import SimpleLazyObject

from console.pages.shared.polling import STATE_HEADER
from console.session_list import note_use

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


class PageCaching:
    """Nothing that a user or a program gets is kept on its way or in a browser, unless the view says so: also answers of the
    API and of the admin can hold secrets. Files of the pages' own are served before this."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        return response


class PageSessions(PagesOnly, SessionMiddleware):
    pass


class PageUsers(PagesOnly, AuthenticationMiddleware):
    """Finds the user when a view asks for it. That is a use of the session, unless an open page refreshes itself."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        request.user = cast(User, SimpleLazyObject(lambda: find_user(request)))


def find_user(request: HttpRequest) -> Any:
    user = get_user(request)
    if user.is_authenticated and STATE_HEADER not in request.headers:
        session: Any = request.session
        session.note_use()
        note_use(request, user)
    return user


class PageMessages(PagesOnly, MessageMiddleware):
    pass

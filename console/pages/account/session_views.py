"""One's own sessions: where one is signed in, and an end to what should not be."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from clusters.access.audit import record_act
from console.models import UserSession
from console.pages.account.browsers import describe_browser
from console.pages.shared.page import console_page, redirect_to
from console.session_list import end_session, end_sessions, find_sessions


@require_safe
@console_page
def sessions(request: HttpRequest) -> HttpResponse:
    found = find_sessions(request.user, request.session.session_key)  # type: ignore[arg-type]
    context = {
        "title": "Sessions",
        "sessions": [(session, describe_browser(session.row.user_agent)) for session in found],
        "others": sum(not session.is_own for session in found),
    }
    return render(request, "console/account/sessions.html", context)


@require_POST
@console_page
def session_end(request: HttpRequest, session_id: int) -> HttpResponse:
    """End one of one's own sessions; another's does not exist here. The own one is ended by signing out."""
    row = get_object_or_404(UserSession, pk=session_id, user=request.user)
    if row.session_key == request.session.session_key:
        messages.error(request, "That is the session that you use now. Sign out to end it.")
        return redirect_to(request, "sessions")
    browser = describe_browser(row.user_agent)
    with transaction.atomic():
        end_session(row)
        record_act(request, "session.end", request.user, sessions=1, browser=browser, from_address=row.address)  # type: ignore[arg-type]
    messages.success(request, f"The session of {browser} has ended.")
    return redirect_to(request, "sessions")


@require_POST
@console_page
def sessions_end(request: HttpRequest) -> HttpResponse:
    """End all of one's own sessions but this one."""
    with transaction.atomic():
        ended = end_sessions(request.user, keep=request.session.session_key)  # type: ignore[arg-type]
        record_act(request, "session.end", request.user, sessions=ended)  # type: ignore[arg-type]
    messages.success(request, f"{ended} other session{'' if ended == 1 else 's'} ended. You are signed in here alone.")
    return redirect_to(request, "sessions")

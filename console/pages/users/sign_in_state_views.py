"""What administrators end for others: locks of sign-ins, and sessions."""

from axes.models import AccessAttempt
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from clusters.access.administrators import may_manage
from clusters.access.audit import record_act
from console.pages.shared.page import console_page, redirect_to, require
from console.session_list import end_sessions
from console.sign_in_locks import end_lock


@require_POST
@console_page
def lock_end(request: HttpRequest, lock_id: int) -> HttpResponse:
    """End a lock. One that has ended by itself is no error: it is what was wanted."""
    require(request, "auth.change_user")
    lock = AccessAttempt.objects.filter(pk=lock_id).first()
    if lock:
        with transaction.atomic():
            end_lock(lock)
            record_act(request, "sign_in.unlock", name=lock.username, locked_address=lock.ip_address)
    whose = f"{lock.username} from {lock.ip_address}" if lock and lock.username else lock.ip_address if lock else ""
    messages.success(request, f"Unlocked: {whose}." if lock else "That lock has ended already.")
    return redirect_to(request, "users")


@require_POST
@console_page
def user_sessions_end(request: HttpRequest, user_id: int) -> HttpResponse:
    """End all sessions of a user; of one's own, all but this one."""
    require(request, "auth.change_user")
    shown = get_object_or_404(User, pk=user_id)
    if not may_manage(request.user, shown):
        raise PermissionDenied
    with transaction.atomic():
        ended = end_sessions(shown, keep=request.session.session_key)
        record_act(request, "session.end", shown, sessions=ended)
    messages.success(
        request, f"{ended} session{'' if ended == 1 else 's'} of {shown} ended. API tokens go on until you end them below."
    )
    return redirect_to(request, "user", shown.pk, query="?tab=sign-in")

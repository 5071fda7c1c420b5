"""The reset of another user's second factor, by an administrator."""

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from clusters.access.administrators import may_manage
from clusters.access.audit import record_act
from console.factors.store import reset_factors
from console.pages.shared.page import console_page, redirect_to, render_dialog, require


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def user_factor_reset(request: HttpRequest, user_id: int) -> HttpResponse:
    """Remove everything that the user signs in with besides the password. GET shows the dialog that confirms it. One's own
    factor is removed on one's own page, which asks for a confirmation."""
    require(request, "auth.change_user")
    shown = get_object_or_404(User, pk=user_id)
    if not may_manage(request.user, shown) or shown.pk == request.user.pk:
        raise PermissionDenied
    if request.method != "POST":
        crumbs = [("Users", reverse("users")), (shown.username, reverse("user", args=[shown.pk]))]
        context = {"title": "Reset second factor", "shown": shown, "crumbs": crumbs}
        return render_dialog(request, "console/users/_user_factor_reset.html", context)
    with transaction.atomic():
        removed = reset_factors(shown)
        record_act(request, "factor.reset", shown, removed=removed or "nothing")
    messages.success(request, f"{shown} has no second factor now, and their sessions have ended.")
    return redirect_to(request, "user", shown.pk, query="?tab=sign-in")

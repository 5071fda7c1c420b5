"""A user's identities at providers, for administrators: invitations and unlinking."""

from typing import cast

from allauth.socialaccount.models import SocialAccount
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_POST

from clusters.access.administrators import may_manage
from clusters.access.audit import record_act
from clusters.callers import client_address
from console.identity.arrivals import invite, unlink
from console.pages.shared.page import console_page, redirect_to, render_dialog, require, write_own_address


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def user_invite(request: HttpRequest, user_id: int) -> HttpResponse:
    """Make a link by which whoever opens it and signs in at a provider becomes this user. It is shown once."""
    shown = _get_managed(request, user_id)
    crumbs = [("Users", reverse("users")), (shown.username, reverse("user", args=[shown.pk]))]
    context = {"title": "Invite to link an identity", "shown": shown, "crumbs": crumbs}
    if request.method == "POST":
        with transaction.atomic():
            key = invite(shown)
            record_act(request, "identity.invite", shown)
        context["link"] = f"{write_own_address(request, 'invitation')}?{urlencode({'key': key})}"
    return render_dialog(request, "console/users/_user_invite.html", context)


@require_POST
@console_page
def user_unlink(request: HttpRequest, user_id: int, identity_id: int) -> HttpResponse:
    shown = _get_managed(request, user_id)
    found = get_object_or_404(SocialAccount.objects.select_related("user"), pk=identity_id, user=shown)
    unlink(found, cast(User, request.user), client_address(request))
    messages.success(request, f"{shown} can no longer sign in by this identity. Roles that its groups gave were taken.")
    return redirect_to(request, "user", shown.pk, query="?tab=sign-in")


def _get_managed(request: HttpRequest, user_id: int) -> User:
    require(request, "auth.change_user")
    shown = get_object_or_404(User, pk=user_id)
    if not may_manage(request.user, shown):
        raise PermissionDenied
    return shown

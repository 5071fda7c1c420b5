"""Signing in by a link that `manage.py sign_in_link` made."""

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from console.sign_in_links import LinkRefused, find_user

BACKEND = "clusters.access.AllClustersBackend"


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def sign_in_link(request: HttpRequest) -> HttpResponse:
    """Show whom the link signs in, and do so when the button is pressed."""
    token = (request.POST if request.method == "POST" else request.GET).get("token", "")
    try:
        if request.method != "POST":
            return render(request, "console/account/sign_in_link.html", {"named": find_user(token), "token": token})
        with transaction.atomic():  # of two that use it at once the second finds the first one's sign-in
            user = find_user(token, User.objects.select_for_update())
            login(request, user, BACKEND)
    except LinkRefused:
        return render(request, "console/account/sign_in_link.html", {"named": None}, status=403)
    messages.success(request, "You are signed in by a link. It holds for no second sign-in.")
    return redirect("overview")

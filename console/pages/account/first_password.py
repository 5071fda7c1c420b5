"""The password that the first start generates is printed, so a log keeps it. Whoever signs in with it must choose another."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect

from console.models import FirstPassword

CHANGE_PASSWORD = "change_password"  # noqa: S105 - a session key, set at the sign-in
ALLOWED_VIEWS = {"password", "logout", "theme", "healthz", "readyz"}


def has_first_password(user: User) -> bool:
    return FirstPassword.objects.filter(user=user).exists()


class FirstPasswords:
    """The middleware. Until the password is changed, pages lead to the form, and the API answers 403."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, arguments: Any, named: Any) -> HttpResponse | None:
        assert request.resolver_match
        session = getattr(request, "session", None)  # links have none
        if request.resolver_match.view_name in ALLOWED_VIEWS or session is None:
            return None
        if not session.get(CHANGE_PASSWORD) or not request.user.is_authenticated:
            return None
        if request.path_info.startswith("/api/"):
            return JsonResponse({"detail": "Sign in on the pages and choose a password of your own first."}, status=403)
        return redirect("password")


class FirstPasswordEnds:
    """The password validator that notices the change, wherever it happens: pages, admin, `manage.py changepassword`."""

    def validate(self, password: str, user: User | None = None) -> None:
        """Refuse to keep the first password."""
        if user and user.pk and has_first_password(user) and user.check_password(password):
            raise ValidationError("Choose another password than the generated one.", "first_password")

    def password_changed(self, password: str, user: User | None = None) -> None:
        if user:
            FirstPassword.objects.filter(user=user).delete()

    def get_help_text(self) -> str:
        return "The generated password of the first start cannot be kept."

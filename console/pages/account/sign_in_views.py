"""Signing in, and the settings of the signed-in user: theme and password."""

from typing import Any

from allauth.account.internal.flows.login import perform_password_login
from allauth.account.internal.stagekit import clear_login
from allauth.account.models import Login
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from clusters.access.audit import record_act
from clusters.callers import client_address
from clusters.waits import Line, NoPlace
from console.pages.account.first_password import CHANGE_PASSWORD
from console.pages.account.forms import OwnPasswordForm
from console.pages.shared.context import THEME_COOKIE, THEMES
from console.pages.shared.page import console_page

RETRY_SECONDS = 5

line = Line(settings.SIGN_INS)


class SignInView(LoginView):
    """Sign in. To check a password takes a good part of a second of a CPU, so one is checked after the other: guesses must not
    take all of the machine. Of each address one waits, so whoever guesses waits behind their own guesses."""

    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """The password is right. What else is asked for are the stages of allauth: LOGIN_STAGES of the adapter."""
        clear_login(self.request)
        login = Login(form.get_user(), redirect_url=self.get_success_url())
        return perform_password_login(self.request, {"username": form.cleaned_data["username"]}, login)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            with line.turn(client_address(request) or ""):
                return super().post(request, *args, **kwargs)
        except NoPlace:
            return self._refuse(request)

    def _refuse(self, request: HttpRequest) -> HttpResponse:
        form = self.get_form_class()(request, initial={"username": request.POST.get("username", "")})
        response = self.render_to_response(self.get_context_data(form=form, is_busy=True), status=429)
        response["Retry-After"] = str(RETRY_SECONDS)
        return response


sign_in = SignInView.as_view()


@require_safe
def inactive(request: HttpRequest) -> HttpResponse:
    """Shown to a deactivated user whose second step, or whose identity provider, was right."""
    return render(request, "console/account/inactive.html", status=403)


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    wanted = request.POST.get("theme", "")
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        back = reverse("overview")
    response = redirect(back)
    if wanted in THEMES:
        response.set_cookie(THEME_COOKIE, wanted, max_age=365 * 24 * 3600, samesite="Lax")
    return response


class PasswordView(PasswordChangeView):
    """Change the password of the signed-in user. Their other sessions end."""

    form_class = OwnPasswordForm
    template_name = "console/account/password.html"
    success_url = reverse_lazy("overview")
    extra_context = {"title": "Change password"}

    def get_template_names(self) -> list[str]:
        """Show the form alone until the first password is changed."""
        return ["console/account/password_first.html" if CHANGE_PASSWORD in self.request.session else self.template_name]

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        with transaction.atomic():
            response = super().form_valid(form)
            record_act(self.request, "user.change", form.user, changes={"password": "changed"})
        self.request.session.pop(CHANGE_PASSWORD, None)
        messages.success(self.request, "Your password was changed. Your other sessions have ended.")
        return response


password = console_page(PasswordView.as_view())

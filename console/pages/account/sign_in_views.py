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
from clusters.access.tokens import PASSWORD_CHANGED, end_all_tokens
from clusters.callers import client_address
from clusters.waits import NoPlace
from console.identity.providers import list_providers
from console.pages.account.first_password import CHANGE_PASSWORD
from console.pages.account.forms import OwnPasswordForm
from console.pages.account.throttle import SignInLocked, add_end, answer_locked, find_refusal, note_failure, take_turn
from console.pages.shared.context import THEME_COOKIE, THEMES
from console.pages.shared.page import console_page
from console.session_list import list_session

RETRY_SECONDS = 5


class SignInView(LoginView):
    """Sign in. To check a password takes a good part of a second of a CPU, so one is checked after the other: guesses must not
    take all of the machine. Of each address one waits, so whoever guesses waits behind their own guesses. Who is locked out is
    refused before that."""

    redirect_authenticated_user = True

    def get_context_data(self, **more: Any) -> dict[str, Any]:
        offered = [provider for provider in list_providers() if provider.is_enabled]
        return super().get_context_data(**more, providers=offered, local_login=settings.LOCAL_LOGIN)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """The password is right. What else is asked for are the stages of allauth: LOGIN_STAGES of the adapter."""
        clear_login(self.request)
        login = Login(form.get_user(), redirect_url=self.get_success_url())
        return perform_password_login(self.request, {"username": form.cleaned_data["username"]}, login)

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """The password is wrong, which can be what locks."""
        locked = find_refusal(self.request, self._read_name())
        return self._refuse(429, locked) if locked else super().form_invalid(form)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if settings.LOCAL_LOGIN == "nobody":
            return self._refuse(403)
        try:
            with take_turn(request, self._read_name()):
                return super().post(request, *args, **kwargs)
        except SignInLocked as locked:
            return self._refuse(429, locked)
        except NoPlace:
            response = self._refuse(429)
            response["Retry-After"] = str(RETRY_SECONDS)
            return response

    def _read_name(self) -> str:
        return str(self.request.POST.get("username", ""))

    def _refuse(self, status: int, locked: SignInLocked | None = None) -> HttpResponse:
        """Show the form without having checked the password, or with the lock that began with it."""
        form = self.get_form_class()(self.request, initial={"username": self._read_name()})
        context = self.get_context_data(form=form, locked=locked, is_busy=status == 429 and not locked)
        response = self.render_to_response(context, status=status)
        return add_end(response, locked) if locked else response


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
    """Change the password of the signed-in user. Their other sessions end. The current one is asked for and guarded like a
    sign-in, since whoever finds an open screen could guess it."""

    form_class = OwnPasswordForm
    template_name = "console/account/password.html"
    success_url = reverse_lazy("overview")
    extra_context = {"title": "Change password"}

    def get_template_names(self) -> list[str]:
        """Show the form alone until the first password is changed."""
        return ["console/account/password_first.html" if CHANGE_PASSWORD in self.request.session else self.template_name]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            with take_turn(request, request.user.get_username()):
                return super().post(request, *args, **kwargs)
        except SignInLocked as locked:
            return answer_locked(request, locked)
        except NoPlace:
            form = self.get_form_class()(request.user)  # type: ignore[arg-type]
            response = self.render_to_response(self.get_context_data(form=form, is_busy=True), status=429)
            response["Retry-After"] = str(RETRY_SECONDS)
            return response

    def form_invalid(self, form: PasswordChangeForm) -> HttpResponse:
        if form.has_error("old_password", "password_incorrect"):
            note_failure(self.request, self.request.user.get_username())
        return super().form_invalid(form)

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        keeps_tokens = form.cleaned_data.get("keep_tokens", False)
        with transaction.atomic():
            if not keeps_tokens:
                end_all_tokens(form.user, PASSWORD_CHANGED, by=form.user, address=client_address(self.request))
            response = super().form_valid(form)
            list_session(self.request, form.user)
            record_act(self.request, "user.change", form.user, changes={"password": "changed"})
        self.request.session.pop(CHANGE_PASSWORD, None)
        ended = "sessions have" if keeps_tokens else "sessions and your API tokens have"
        messages.success(self.request, f"Your password was changed. Your other {ended} ended.")
        return response


password = console_page(PasswordView.as_view())

"""The form that confirms who sits at a session: by the password, a code of the authenticator app, or a passkey."""

from collections.abc import Callable

from allauth.mfa.models import Authenticator
from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods

from console.factors import codes, passkeys
from console.factors.passkeys import PASSKEY, PasskeyRefused
from console.pages.account.factor_attempts import attempt, use_passkey
from console.pages.account.factor_forms import CodeForm, ConfirmForm
from console.pages.account.fresh import note_confirmed, own_user
from console.pages.account.passkey_views import offer
from console.pages.account.sign_in_views import RETRY_SECONDS
from console.pages.shared.page import console_page

PURPOSE = "confirm"


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
def confirm(request: HttpRequest) -> HttpResponse:
    kinds = set(Authenticator.objects.filter(user=own_user(request)).values_list("type", flat=True))
    password, code, problem, status = ConfirmForm(), CodeForm(), "", 200
    if request.method == "POST":
        try:
            if "answer" in request.POST:
                use_passkey(request, PURPOSE, own_user(request))
            elif "code" in request.POST:
                code = CodeForm(request.POST)
                _check_form(request, code, "authenticator app", _is_app_code, "The code is wrong, or was used before.")
            else:
                password = ConfirmForm(request.POST)
                _check_form(request, password, "password", _is_password, "The password is wrong.")
        except PasskeyRefused as error:
            problem = str(error)
        except codes.TooManyCodes as error:
            problem, status = str(error), 429
        if not (problem or code.errors or password.errors):
            note_confirmed(request)
            return redirect(read_next(request, "second_factor"))
    context = {
        "title": "Confirm that it is you",
        "next": request.POST.get("next") or request.GET.get("next", ""),
        "problem": problem,
        "password": password if own_user(request).has_usable_password() else None,
        "code": code if codes.APP in kinds else None,
        "passkey": offer(passkeys.begin_use(request, PURPOSE, own_user(request))) if PASSKEY in kinds else None,
    }
    response = render(request, "console/account/confirm.html", context, status=status)
    if status == 429:
        response["Retry-After"] = str(RETRY_SECONDS)
    return response


def read_next(request: HttpRequest, otherwise: str) -> str:
    """Return the path that the form or the address names, if it is the console's own; else that of the view `otherwise`."""
    wanted = request.POST.get("next") or request.GET.get("next", "")
    is_own = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return wanted if is_own else reverse(otherwise)


def _check_form(
    request: HttpRequest, form: forms.Form, what: str, check: Callable[[HttpRequest, forms.Form], bool], sentence: str
) -> None:
    """Give the form an error unless `check` finds that what was entered is right."""
    if form.is_valid() and not attempt(request, own_user(request).get_username(), what, lambda: check(request, form)):
        form.add_error(None, sentence)


def _is_password(request: HttpRequest, form: forms.Form) -> bool:
    return own_user(request).check_password(form.cleaned_data["password"])


def _is_app_code(request: HttpRequest, form: forms.Form) -> bool:
    return bool(codes.check_code(own_user(request), form.cleaned_data["code"], (codes.APP,)))

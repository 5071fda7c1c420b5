"""Signing in with a second factor after the password, and with a passkey alone."""

from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.internal.stagekit import clear_login
from allauth.account.models import Login
from allauth.mfa.models import Authenticator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from console.factors import codes, passkeys
from console.factors.passkeys import PASSKEY, PasskeyRefused
from console.pages.account.confirm_views import read_next
from console.pages.account.factor_attempts import attempt, use_passkey
from console.pages.account.factor_forms import CodeForm
from console.pages.account.factor_stage import BY_PASSKEY, SecondFactorStage, find_stage
from console.pages.account.passkey_views import offer

SECOND, ALONE = "second factor", "sign in"  # purposes of passkeys
TOO_MANY = "That was the last try. Sign in again with your password."


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def sign_in_factor(request: HttpRequest) -> HttpResponse:
    """The step after the password. Whoever opens it without one is led to the sign-in."""
    if request.user.is_authenticated:
        return redirect("overview")
    stage = find_stage(request)
    if stage is None:
        return redirect("login")
    form, problem = CodeForm(), ""
    if request.method == "POST":
        try:
            form, used = _check(request, stage)
        except codes.TooManyCodes as error:
            return _render_step(request, stage, form, str(error), status=429)
        except PasskeyRefused as error:
            used, problem = "", str(error)
        if used:
            record_authentication(request, stage.login.user, "mfa", type=used)
            return stage.exit()
        if not stage.note_failure():
            return render(request, "console/account/sign_in_factor.html", {"ended": TOO_MANY}, status=403)
    return _render_step(request, stage, form, problem)


def _check(request: HttpRequest, stage: SecondFactorStage) -> tuple[CodeForm, str]:
    """Return the form and the type of the factor that was right, or the form with an error and empty text."""
    user = stage.login.user
    assert user
    if "answer" in request.POST:
        return CodeForm(), use_passkey(request, SECOND, user).type
    form = CodeForm(request.POST)
    if not form.is_valid():
        return form, ""
    used = attempt(request, user.get_username(), "code", lambda: codes.check_code(user, form.cleaned_data["code"]))
    if not used:
        form.add_error("code", "The code is wrong, or was used before.")
    return form, used


def _render_step(
    request: HttpRequest, stage: SecondFactorStage, form: CodeForm, problem: str, status: int = 200
) -> HttpResponse:
    user = stage.login.user
    form.fields["code"].widget.attrs["autofocus"] = True
    kinds = set(Authenticator.objects.filter(user=user).values_list("type", flat=True))
    context = {
        "form": form if kinds & {codes.APP, codes.RECOVERY_CODES} else None,
        "has_app": codes.APP in kinds,
        "has_codes": codes.RECOVERY_CODES in kinds,
        "problem": problem,
        "name": user.get_username() if user else "",
        "passkey": offer(passkeys.begin_use(request, SECOND, user)) if PASSKEY in kinds else None,
    }
    return render(request, "console/account/sign_in_factor.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def sign_in_passkey(request: HttpRequest) -> HttpResponse:
    """Sign in with a passkey and nothing else. GET answers what the browser's script asks passkeys for."""
    if request.user.is_authenticated:
        return redirect("overview")
    if request.method != "POST":
        return JsonResponse(passkeys.begin_use(request, ALONE))
    try:
        user = use_passkey(request, ALONE).user
    except (PasskeyRefused, codes.TooManyCodes) as error:
        context = {"problem": str(error), "next": request.POST.get("next", "")}
        status = 403 if isinstance(error, PasskeyRefused) else 429
        return render(request, "console/account/sign_in_passkey.html", context, status=status)
    clear_login(request)
    record_authentication(request, user, "mfa", type=PASSKEY)
    return perform_login(request, Login(user, redirect_url=read_next(request, "overview"), state={BY_PASSKEY: True}))

"""Second factors of the signed-in user: what there is, the authenticator app, and recovery codes."""

from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from clusters.access.audit import record_act
from console.factors import codes, store
from console.factors.passkeys import PASSKEY
from console.pages.account.factor_forms import CodeForm, open_secret, seal_secret
from console.pages.account.fresh import fresh_page, own_user
from console.pages.account.qr_code import draw_qr_code
from console.pages.account.required_factors import HAS_FACTOR, lacks_factor
from console.pages.shared.page import console_page, redirect_to, render_dialog
from console.session_list import end_sessions

PAGE, ALONE = "console/account/factor_frame.html", "plain.html"


def choose_frame(request: HttpRequest) -> str:
    """Return the template that surrounds a set-up: no navigation for whoever can do nothing else."""
    return ALONE if lacks_factor(request) else PAGE


def list_factors(user: Any) -> list[Authenticator]:
    return list(Authenticator.objects.filter(user=user).order_by("created_at", "pk"))


@require_safe
@console_page
def second_factor(request: HttpRequest) -> HttpResponse:
    if lacks_factor(request):
        return render(request, "console/account/second_factor_first.html", {"title": "Set up a second factor"})
    rows = list_factors(own_user(request))
    recovery = next((row for row in rows if row.type == codes.RECOVERY_CODES), None)
    context = {
        "title": "Second factor",
        "frame": PAGE,
        "app": next((row for row in rows if row.type == codes.APP), None),
        "passkeys": [row for row in rows if row.type == PASSKEY],
        "codes_left": codes.count_recovery_codes(recovery) if recovery else None,
        "recovery": recovery,
        "required": settings.SECOND_FACTOR if store.must_have_factor(own_user(request)) else "",
        "public_url": settings.PUBLIC_URL if is_elsewhere(request) else "",
    }
    return render(request, "console/account/second_factor.html", context)


def is_elsewhere(request: HttpRequest) -> bool:
    """Return whether this page was opened at another host than the public address: passkeys belong to that one."""
    return bool(settings.PUBLIC_HOST) and request.get_host().partition(":")[0] != settings.PUBLIC_HOST


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
@fresh_page
def app_set_up(request: HttpRequest) -> HttpResponse:
    """Show the secret of a new authenticator app, and store it when its first code is right."""
    if Authenticator.objects.filter(user=own_user(request), type=codes.APP).exists():
        return redirect("second_factor")
    sealed, form, problem = request.POST.get("secret", ""), CodeForm(request.POST if request.method == "POST" else None), ""
    secret = open_secret(own_user(request), sealed) if sealed else ""
    if form.is_bound and not secret:
        form, problem = CodeForm(), "The code was not checked: this page was open too long. Scan the new picture."
    elif form.is_bound and form.is_valid():
        if _add_app(request, secret, form.cleaned_data["code"]):
            return finish_adding(request, "Your authenticator app is set up.")
        form.add_error("code", "The code is wrong. Enter the newest one; the clock of the device must be right.")
    secret, sealed = seal_secret(own_user(request), secret)
    address = get_adapter().build_totp_url(own_user(request), secret)
    context = {
        "title": "Set up an authenticator app",
        "frame": choose_frame(request),
        "form": form,
        "problem": problem,
        "sealed": sealed,
        "secret": " ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        "address": address,
        "qr_code": draw_qr_code(address),
    }
    return render(request, "console/account/app_set_up.html", context)


def _add_app(request: HttpRequest, secret: str, code: str) -> bool:
    with transaction.atomic():
        User.objects.select_for_update().get(pk=own_user(request).pk)
        if Authenticator.objects.filter(user=own_user(request), type=codes.APP).exists():
            return True  # the same form, sent twice
        if not codes.add_app(own_user(request), secret, code):
            return False
        record_act(request, "factor.add", own_user(request), factor="authenticator app")
    return True


def finish_adding(request: HttpRequest, sentence: str) -> HttpResponse:
    """Show recovery codes after the first factor, whose set-up also ends the user's other sessions."""
    request.session[HAS_FACTOR] = True
    if Authenticator.objects.filter(user=own_user(request), type=codes.RECOVERY_CODES).exists():
        messages.success(request, sentence)
        return redirect("second_factor")
    end_sessions(own_user(request), keep=request.session.session_key)
    return _show_new_codes(request, f"{sentence} Your other sessions have ended.")


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
@fresh_page
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Replace the recovery codes. They are shown in the answer and never again."""
    if not store.has_factor(own_user(request)):
        return redirect_to(request, "second_factor")
    if request.method == "POST":
        return _show_new_codes(request, "")
    return render(request, "console/account/recovery_codes.html", {"title": "New recovery codes", "frame": PAGE})


def _show_new_codes(request: HttpRequest, sentence: str) -> HttpResponse:
    with transaction.atomic():
        made = codes.make_recovery_codes(own_user(request))
        record_act(request, "factor.codes", own_user(request))
    shown = [f"{code[:5]} {code[5:]}" for code in made]
    context = {
        "title": "Recovery codes",
        "frame": PAGE,
        "sentence": sentence,
        "codes": shown,
        "text": "\n".join([f"Recovery codes of {own_user(request).get_username()} at {request.get_host()}", "", *shown, ""]),
    }
    return render(request, "console/account/recovery_codes_shown.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
@fresh_page
def factor_remove(request: HttpRequest, factor_id: int) -> HttpResponse:
    """Remove the app or a passkey of one's own. GET shows the dialog that confirms it."""
    owned = Authenticator.objects.filter(user=own_user(request), type__in=(codes.APP, PASSKEY))
    row = get_object_or_404(owned, pk=factor_id)
    is_last = not owned.exclude(pk=row.pk).exists()
    must_stay = is_last and store.must_have_factor(own_user(request))
    if request.method != "POST" or must_stay:
        context = {"title": "Remove second factor", "row": row, "is_last": is_last, "must_stay": must_stay}
        return render_dialog(request, "console/account/_factor_remove.html", context | {"name": name_factor(row)})
    with transaction.atomic():
        record_act(request, "factor.remove", own_user(request), factor=store.NAMES[row.type], **name_details(row))
        store.remove_factor(row)
    if is_last:
        request.session.pop(HAS_FACTOR, None)
        end_sessions(own_user(request), keep=request.session.session_key)
    messages.success(request, f"{name_factor(row)} was removed.{' Your other sessions have ended.' if is_last else ''}")
    return redirect_to(request, "second_factor")


def name_factor(row: Authenticator) -> str:
    return f"The passkey {row.data['name']}" if row.type == PASSKEY else "The authenticator app"


def name_details(row: Authenticator) -> dict[str, str]:
    return {"name": row.data["name"]} if row.type == PASSKEY else {}

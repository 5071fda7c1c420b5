"""Passkeys of the signed-in user: adding and renaming them."""

import json
from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods

from clusters.access.audit import record_act
from console.factors import passkeys
from console.factors.passkeys import PASSKEY, PasskeyRefused
from console.pages.account.factor_forms import NameForm, PasskeyForm
from console.pages.account.factor_views import choose_frame, finish_adding, is_elsewhere
from console.pages.account.fresh import fresh_page, own_user
from console.pages.shared.page import console_page, redirect_to, render_dialog


def offer(begun: dict[str, Any]) -> dict[str, str]:
    """Return what a form of `static/console/passkeys.js` needs, from what passkeys.begin_adding or begin_use returned."""
    return {"options": json.dumps(begun["options"]), "token": begun["token"]}


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
@fresh_page
def passkey_add(request: HttpRequest) -> HttpResponse:
    form, problem = NameForm(request.POST if request.method == "POST" else None), ""
    if form.is_bound and form.is_valid():
        answer = PasskeyForm(request.POST)
        try:
            if not answer.is_valid():
                raise PasskeyRefused("The browser sent no passkey. Nothing was added.")
            _add_passkey(request, form.cleaned_data["name"], answer.cleaned_data)
        except PasskeyRefused as error:
            problem = str(error)
        else:
            return finish_adding(request, f"The passkey {form.cleaned_data['name']} was added.")
    context = {
        "title": "Add a passkey",
        "frame": choose_frame(request),
        "form": form,
        "problem": problem,
        "is_elsewhere": is_elsewhere(request),
        "passkey": offer(passkeys.begin_adding(request, own_user(request))),
    }
    return render(request, "console/account/passkey_add.html", context)


def _add_passkey(request: HttpRequest, name: str, answer: dict[str, str]) -> None:
    with transaction.atomic():
        passkeys.finish_adding(request, own_user(request), name, **answer)
        record_act(request, "factor.add", own_user(request), factor="passkey", name=name)


@require_http_methods(["GET", "HEAD", "POST"])
@console_page
@fresh_page
def passkey_rename(request: HttpRequest, factor_id: int) -> HttpResponse:
    row = get_object_or_404(Authenticator, pk=factor_id, user=own_user(request), type=PASSKEY)
    former = row.data["name"]
    form = NameForm(request.POST if request.method == "POST" else None, initial={"name": former})
    if request.method == "POST" and form.is_valid():
        name = form.cleaned_data["name"]
        with transaction.atomic():
            locked = Authenticator.objects.select_for_update().get(pk=row.pk)
            locked.data["name"] = name
            locked.save(update_fields=["data"])
            if name != former:
                changes = [["name", former, name]]
                record_act(request, "factor.change", own_user(request), factor="passkey", changes=changes)
        messages.success(request, f"The passkey is now called {name}.")
        return redirect_to(request, "second_factor")
    context = {"title": "Rename passkey", "row": row, "form": form}
    return render_dialog(request, "console/account/_passkey_rename.html", context)

"""Forms of second factors."""

import json
import time
from typing import Any

from allauth.mfa.totp.internal.auth import generate_totp_secret
from django import forms
from django.core.exceptions import ImproperlyConfigured

from clusters.encryption import decrypt_text, encrypt_text

SET_UP_SECONDS = 1800
NAME_LENGTH = 64


class CodeForm(forms.Form):
    code = forms.CharField(
        label="Code",
        max_length=32,
        widget=forms.TextInput({"autocomplete": "one-time-code", "inputmode": "numeric", "spellcheck": "false"}),
    )


class NameForm(forms.Form):
    """The name of a passkey."""

    name = forms.CharField(
        label="Name",
        max_length=NAME_LENGTH,
        help_text="What you will know it by, such as the device's name.",
        widget=forms.TextInput({"autocomplete": "off"}),
    )


class PasskeyForm(forms.Form):
    """What the browser sends back: the signed challenge, and the passkey's answer as JSON."""

    token = forms.CharField(max_length=1000)
    answer = forms.CharField(max_length=100_000)


class ConfirmForm(forms.Form):
    password = forms.CharField(
        label="Password",
        strip=False,
        max_length=4096,
        widget=forms.PasswordInput({"autocomplete": "current-password"}),
    )


def seal_secret(user: Any, secret: str = "") -> tuple[str, str]:
    """Return a secret for an authenticator app, a new one if none is given, and its sealed form. The form keeps it while the
    code is typed, so that nothing is stored before the app has shown that it has the secret."""
    secret = secret or generate_totp_secret()
    return secret, encrypt_text(json.dumps({"secret": secret, "user": user.pk, "until": int(time.time()) + SET_UP_SECONDS}))


def open_secret(user: Any, sealed: str) -> str:
    """Return the secret; empty if it was not sealed here for this user in the last half hour."""
    try:
        found = json.loads(decrypt_text(sealed))
        return str(found["secret"]) if found["user"] == user.pk and found["until"] > time.time() else ""
    except (ImproperlyConfigured, KeyError, TypeError, ValueError):
        return ""

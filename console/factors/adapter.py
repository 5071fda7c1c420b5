"""What allauth asks about second factors: how they are encrypted, and what an authenticator app shows."""

from typing import Any
from urllib.parse import urlsplit

from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.http import HttpRequest

from clusters.encryption import decrypt_text, encrypt_text


def own_host(request: HttpRequest) -> str:
    """Return the console's host without a port: that of the public address, or else the request's."""
    return settings.PUBLIC_HOST or urlsplit(f"//{request.get_host()}").hostname or ""


class FactorAdapter(DefaultMFAAdapter):
    def encrypt(self, text: str) -> str:
        return encrypt_text(text)

    def decrypt(self, encrypted_text: str) -> str:
        return decrypt_text(encrypted_text)

    def get_totp_issuer(self) -> str:
        return f"Windlass {own_host(context.request)}"

    def get_totp_label(self, user: Any) -> str:
        return str(user.get_username())

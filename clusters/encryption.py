"""Secrets at rest: a text column encrypted with Fernet under settings.ENCRYPTION_KEY."""

from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


class EncryptedTextField(models.TextField):
    """Text that is plain in Python and a Fernet token in the database; empty stays empty. It cannot be searched."""

    def get_prep_value(self, value: Any) -> Any:
        text = super().get_prep_value(value)
        return Fernet(settings.ENCRYPTION_KEY).encrypt(text.encode()).decode() if text else text

    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        if not value:
            return value
        try:
            return Fernet(settings.ENCRYPTION_KEY).decrypt(value.encode()).decode()
        except InvalidToken as error:
            raise ImproperlyConfigured(
                "A stored secret cannot be decrypted: WINDLASS_ENCRYPTION_KEY is not the key it was encrypted with."
            ) from error

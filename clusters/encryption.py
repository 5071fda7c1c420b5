"""Secrets at rest: a text column encrypted with Fernet under settings.ENCRYPTION_KEY."""

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


def make_fernet() -> "Fernet":
    from cryptography.fernet import Fernet  # 7 MB, which a process without secrets to read is spared

    return Fernet(settings.ENCRYPTION_KEY)


class EncryptedTextField(models.TextField):
    """Text that is plain in Python and a Fernet token in the database; empty stays empty. It cannot be searched."""

    def get_prep_value(self, value: Any) -> Any:
        text = super().get_prep_value(value)
        return make_fernet().encrypt(text.encode()).decode() if text else text

    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        if not value:
            return value
        from cryptography.fernet import InvalidToken

        try:
            return make_fernet().decrypt(value.encode()).decode()
        except InvalidToken as error:
            raise ImproperlyConfigured(
                "A stored secret cannot be decrypted: WINDLASS_ENCRYPTION_KEY is not the key it was encrypted with."
            ) from error

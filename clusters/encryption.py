"""Secrets at rest: a text column encrypted with Fernet under settings.ENCRYPTION_KEY. Values encrypted under one of
settings.OLD_ENCRYPTION_KEYS can still be read."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models, transaction

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet


def make_fernet() -> "MultiFernet":
    return make_fernet_of((settings.ENCRYPTION_KEY, *settings.OLD_ENCRYPTION_KEYS))


@lru_cache(maxsize=2)
def make_fernet_of(keys: tuple[Any, ...]) -> "MultiFernet":
    from cryptography.fernet import Fernet, MultiFernet  # 7 MB, needed only by processes that read or write secrets

    return MultiFernet([Fernet(key) for key in keys])


class EncryptedTextField(models.TextField):
    """Text that is plain in Python and a Fernet token in the database. Empty text stays empty. It cannot be searched."""

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
                "A stored secret cannot be decrypted: it was encrypted with a key other than WINDLASS_ENCRYPTION_KEY."
            ) from error


def reencrypt_secrets() -> int:
    """Encrypt every stored secret with settings.ENCRYPTION_KEY, all of them or none. Returns the number of rows written.

    Raises ImproperlyConfigured if a secret cannot be read with any of the keys."""
    written = 0
    with transaction.atomic():
        for model in apps.get_models():
            names = [field.name for field in model._meta.concrete_fields if isinstance(field, EncryptedTextField)]
            if not names:
                continue
            for pk, *values in model._default_manager.select_for_update().order_by("pk").values_list("pk", *names):
                model._default_manager.filter(pk=pk).update(**dict(zip(names, values, strict=True)))
                written += 1
    return written

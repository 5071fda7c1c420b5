"""`manage.py rotate_key`: encrypts stored secrets with a new key. docs/operate.md, "Rotate keys", has the steps."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from clusters.encryption import reencrypt_secrets
from console.factors.store import reencrypt_factors


class Command(BaseCommand):
    help = "Encrypt every stored secret with WINDLASS_ENCRYPTION_KEY. WINDLASS_OLD_ENCRYPTION_KEYS are used to read them."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Re-encrypt all secrets. The console can keep running, because its processes know both keys."""
        try:
            with transaction.atomic():
                written = reencrypt_secrets() + reencrypt_factors()
        except ImproperlyConfigured as error:
            raise CommandError(f"{error} Nothing was changed. Add its key to WINDLASS_OLD_ENCRYPTION_KEYS.") from error
        rows = "1 row" if written == 1 else f"{written} rows"
        self.stdout.write(f"The secrets of {rows} are now encrypted with WINDLASS_ENCRYPTION_KEY.")

"""`manage.py rotate_key`: brings stored secrets under a new encryption key; docs/operate.md, "Rotate keys", has the steps."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from clusters.encryption import encrypt_anew


class Command(BaseCommand):
    help = "Encrypt every stored secret with WINDLASS_ENCRYPTION_KEY; those of WINDLASS_OLD_ENCRYPTION_KEYS are read."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """May run beside the console, whose processes know both keys."""
        try:
            written = encrypt_anew()
        except ImproperlyConfigured as error:
            raise CommandError(f"{error} Nothing was changed; name its key in WINDLASS_OLD_ENCRYPTION_KEYS.") from error
        self.stdout.write(f"The secrets of {written} rows are encrypted with WINDLASS_ENCRYPTION_KEY now.")

"""`manage.py reset_second_factor`: for a user who has lost their second factor."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from clusters.access.audit import record_command
from console.factors.store import reset_factors


class Command(BaseCommand):
    help = "Remove the authenticator app, the recovery codes and the passkeys of a user, and end the user's sessions."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["username"]
        user = User.objects.filter(username=name).first()
        if user is None:
            raise CommandError(f"There is no user {name!r}.")
        with transaction.atomic():
            removed = reset_factors(user)
            record_command("reset_second_factor", "factor.reset", user, removed=removed or "nothing")
        self.stdout.write(f"{name} has no second factor now. Removed: {removed or 'nothing'}. The user's sessions have ended.")

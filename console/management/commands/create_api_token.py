"""`manage.py create_api_token`: make an API token of a user, record it in the audit log, and print it."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from clusters.access.audit import record_command
from clusters.access.tokens import DAYS, TokenRefused, create_token, describe_token
from clusters.models import ApiToken, Cluster
from clusters.roles import Role
from clusters.selectors import without_keys

LONGEST = 3650  # days


class Command(BaseCommand):
    help = "Make an API token of a user and print it. It is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user")
        parser.add_argument("name", help="what uses the token")
        parser.add_argument("--role", required=True, choices=Role.values, help="its role at most")
        parser.add_argument(
            "--cluster",
            action="append",
            default=[],
            help="name of a cluster that it is for, repeatable; default: all of the user",
        )
        end = parser.add_mutually_exclusive_group()
        end.add_argument("--days", type=int, default=DAYS, help=f"until it expires, 1 to {LONGEST}; default: {DAYS}")
        end.add_argument("--never", action="store_true", help="it never expires: administrators only")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"].strip()
        if not name or len(name) > 64 or not name.isprintable():
            raise CommandError("The name must have 1 to 64 characters, on one line.")
        if not 1 <= options["days"] <= LONGEST:
            raise CommandError(f"--days must be 1 to {LONGEST}.")
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['user']}.")
        if not user.is_active:
            raise CommandError(f"{user} is deactivated, so no token works.")
        clusters = [find_cluster(name) for name in options["cluster"]] or None
        days = None if options["never"] else options["days"]
        try:
            with transaction.atomic():
                token, text = create_token(user, name, Role(options["role"]), clusters, days)
                self._record(token)
        except TokenRefused as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(text)

    def _record(self, token: ApiToken) -> None:
        record_command("create_api_token", "token.create", token, user=token.user.username, **describe_token(token))


def find_cluster(name: str) -> Cluster:
    """Raises CommandError."""
    found = without_keys(Cluster.objects.filter(name=name), path="").first()
    if found is None:
        raise CommandError(f"There is no cluster {name}.")
    return found

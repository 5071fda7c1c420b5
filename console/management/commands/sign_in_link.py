"""`manage.py sign_in_link <user>`: prints a link that signs the user in once, whatever WINDLASS_LOCAL_LOGIN says."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from clusters.access.audit import record_command
from console.process.preparation import console_url
from console.sign_in_links import LINK_SECONDS, make_token


class Command(BaseCommand):
    help = "Print a link that signs one user in, once, within 15 minutes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="the user name")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['user']!r}.")
        if not user.is_active:
            raise CommandError(f"{user} is deactivated. An administrator can activate the user on the page Users.")
        record_command("sign_in_link", "sign_in.link", user)
        self.stdout.write(f"{console_url()}login/link/?token={make_token(user)}")
        self.stderr.write(f"It signs {user} in once, within {LINK_SECONDS // 60} minutes. Whoever has it can use it.")

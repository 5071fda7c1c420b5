"""`manage.py drf_create_token`, which made tokens of the old kind."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "No longer there: use create_api_token."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("anything", nargs="*")

    def run_from_argv(self, argv: list[str]) -> None:
        """Answer whatever the options are."""
        super().run_from_argv(argv[:2])

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError(
            "Tokens of this kind are no longer made: they have all rights of their user and no end. "
            "Use `manage.py create_api_token USER NAME --role ROLE`. Existing ones still work."
        )

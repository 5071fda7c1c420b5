"""`manage.py changepassword`: Django's, recorded in the audit log."""

import getpass
from typing import Any

from django.contrib.auth.management.commands import changepassword
from django.contrib.auth.models import User

from clusters.access.audit import record_command


class Command(changepassword.Command):
    def handle(self, *args: Any, **options: Any) -> str | None:
        done: str | None = super().handle(*args, **options)
        user = User.objects.get(username=options["username"] or getpass.getuser())
        record_command("changepassword", "user.change", user, changes={"password": "changed"})
        return done

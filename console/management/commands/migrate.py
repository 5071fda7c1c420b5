"""`manage.py migrate`: Django's command behind a lock, because hosts that start together all run it."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from console.database_version import explain_misfit, note_version

ADVISORY_LOCK = 0x77696E64  # any number, the same in every version


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate. If another host does so already, wait for it and find nothing left to do. Raises CommandError for a database
        that is too new."""
        with hold_migration_lock(connections[options["database"]]):
            if misfit := explain_misfit():
                raise CommandError(misfit)
            super().handle(*args, **options)
            if not (options["app_label"] or options["plan"] or options["check_unapplied"]):
                note_version()


@contextmanager
def hold_migration_lock(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Hold an advisory lock of the session in PostgreSQL, or a lock on a file beside the database with SQLite."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
        try:
            yield
        finally:
            with suppress(DatabaseError), connection.cursor() as cursor:  # a lost session holds no lock
                cursor.execute("SELECT pg_advisory_unlock(%s)", [ADVISORY_LOCK])
    else:
        with Path(f"{connection.settings_dict['NAME']}.migrate").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

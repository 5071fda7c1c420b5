"""The order of names as people read them: `job-2` before `job-10`, and capitals beside small letters.

Numbers compare by their value, up to 20 digits; no key is stored. PostgreSQL computes it by itself, SQLite by a function that
each of its connections gets here.
"""

import re
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models import Func, TextField
from django.dispatch import receiver

DIGITS = 20
NAME = "windlass_natural_key"
_NUMBER = re.compile(r"[0-9]+")


def natural_key(name: str) -> str:
    """Return the text by which `name` is sorted: in small letters, with every number padded to 20 digits."""
    return _NUMBER.sub(lambda number: number[0].zfill(DIGITS)[-DIGITS:], name.lower())


class NaturalOrder(Func):
    """The same of a column, to order rows by: `order_by(NaturalOrder("name"), "pk")`."""

    arity = 1
    output_field = TextField()

    def as_sqlite(self, compiler: Any, connection: BaseDatabaseWrapper, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, function=NAME, **extra)

    def as_postgresql(self, compiler: Any, connection: BaseDatabaseWrapper, **extra: Any) -> Any:
        padded = rf"regexp_replace(lower(%(expressions)s), '([0-9]+)', '{'0' * DIGITS}\1', 'g')"
        cut = rf"regexp_replace({padded}, '[0-9]*([0-9]{{{DIGITS}}})', '\1', 'g')"
        template = f'{cut} COLLATE "C"'
        return self.as_sql(compiler, connection, template=template, **extra)


@receiver(connection_created, dispatch_uid=NAME)
def add_function(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if connection.vendor == "sqlite":
        connection.connection.create_function(NAME, 1, natural_key, deterministic=True)

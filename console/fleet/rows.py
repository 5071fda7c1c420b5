"""Writes many rows quickly, and divides numbers unevenly."""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from random import Random
from typing import Any, TypeVar

from django.db import connection, models, transaction

from clusters.encryption import EncryptedTextField

Item = TypeVar("Item")
CHUNK = 10_000  # rows of one transaction
DAY = 86_400  # seconds
DAYS, USUAL_AGE = 90, 9  # at most, and on average
CONVERTED = (models.DateTimeField, models.UUIDField, models.ForeignKey, EncryptedTextField)


class RowWriter:
    """Inserts rows that are given as values by column. Missing values become the field's default.

    It is quicker than bulk_create, which makes an object per row, and stores given times even in fields with auto_now_add.
    """

    def __init__(self, model: type[models.Model]) -> None:
        fields = [field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField)]
        self._fields = {field.attname: field for field in fields}
        self._defaults = {name: self.prepare(name, find_default(field)) for name, field in self._fields.items()}
        self._converted = {name for name, field in self._fields.items() if isinstance(field, CONVERTED)}
        quote = connection.ops.quote_name
        self._table = f"{quote(model._meta.db_table)} ({', '.join(quote(str(field.column)) for field in fields)})"
        self._places = ", ".join(["%s"] * len(fields))

    def prepare(self, name: str, value: Any) -> Any:
        """Convert a value to the database's form. Callers must prepare JSON themselves, because they often reuse a value."""
        return self._fields[name].get_db_prep_save(value, connection)

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        for chunk in split(rows, CHUNK):
            with transaction.atomic(), connection.cursor() as cursor:
                self._insert(cursor, [self._line_up(row) for row in chunk])

    def _insert(self, cursor: Any, rows: list[list[Any]]) -> None:
        if connection.vendor != "postgresql":
            cursor.executemany(f"INSERT INTO {self._table} VALUES ({self._places})", rows)  # noqa: S608 - no value
            return
        with cursor.copy(f"COPY {self._table} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def _line_up(self, row: Mapping[str, Any]) -> list[Any]:
        given = {name: self.prepare(name, value) if name in self._converted else value for name, value in row.items()}
        return list((self._defaults | given).values())


def find_default(field: Any) -> Any:
    """Return the model's default, or else the database's, which get_default returns only as an expression."""
    return field.db_default if field.has_db_default() and not field.has_default() else field.get_default()


def split(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    left = iter(items)
    while chunk := list(islice(left, size)):
        yield chunk


def share(total: int, weights: Sequence[float]) -> list[int]:
    """Divide `total` into whole numbers in about these proportions. Each with a weight is at least 1 as long as that is
    possible."""
    weighing = [place for place, weight in enumerate(weights) if weight]
    shares = [0] * len(weights)
    for place in weighing[:total]:
        shares[place] = 1
    rest, whole = total - sum(shares), sum(weights)
    for place in weighing:
        shares[place] += int(rest * weights[place] / whole)
    for place in weighing[: total - sum(shares)]:
        shares[place] += 1
    return shares


def list_ages(random: Random, count: int) -> "array[float]":
    """Return ages in seconds, the oldest first. They are within DAYS, and most are recent."""
    ages = sorted((random.expovariate(1 / USUAL_AGE) % DAYS * DAY for _ in range(count)), reverse=True)
    return array("d", ages)

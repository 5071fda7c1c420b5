"""Rows that stand for many. Of what is refused again and again, one row a minute is stored and the others are counted on it, so
that whoever floods a link fills no disk.

Such a row's id is derived from what it stands for, so that every process finds the same row without another column or query.
Models of such rows have `repeated` and `repeated_at`.
"""

import uuid
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F, Model
from django.db.models.functions import Coalesce
from django.utils.crypto import salted_hmac

SALT = "triggers.repeats"


def start_of_minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def make_row_id(*parts: object, at: datetime) -> uuid.UUID:
    """Return the id of the row for these parts in the minute of `at`. Nobody can guess it."""
    value = "\n".join(map(str, (*parts, start_of_minute(at).isoformat())))
    return uuid.UUID(bytes=salted_hmac(SALT, value, algorithm="sha256").digest()[:16], version=4)


def insert_or_count(row: Model, now: datetime) -> bool:
    """Insert the row, or count it on the one that already has its id. Return whether it was inserted.

    Works within a transaction, also when another process inserts the same row at the same moment."""
    if count_on(row, now):
        return False
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        if count_on(row, now):
            return False
        raise
    return True


def count_on(row: Model, now: datetime) -> bool:
    rows = type(row)._default_manager.filter(pk=row.pk)
    return rows.update(repeated=Coalesce(F("repeated"), 0) + 1, repeated_at=now) == 1

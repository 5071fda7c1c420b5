"""Deletes many rows without blocking other writers."""

import time

from django.db.models import QuerySet

BATCH = 500  # rows of one transaction


def delete_in_batches(rows: QuerySet) -> int:
    """Delete the rows, in their order, in transactions so small that nobody waits long for a lock. Call it outside of a
    transaction. Returns the number of rows, not counting those deleted by cascade."""
    deleted = 0
    while batch := list(rows.values_list("pk", flat=True)[:BATCH]):
        began = time.monotonic()
        _, by_model = rows.model._default_manager.filter(pk__in=batch).delete()
        deleted += by_model.get(rows.model._meta.label, 0)
        if len(batch) == BATCH:
            time.sleep(time.monotonic() - began)  # SQLite admits waiting writers by chance: half of the time is theirs
    return deleted

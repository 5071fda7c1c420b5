"""Deleting many rows without holding others up."""

import time

from django.db.models import QuerySet

BATCH = 500  # rows of one transaction


def delete_in_batches(rows: QuerySet) -> int:
    """Delete the rows, in their order, in transactions so small that nobody waits long for a lock; call it outside of one.
    Returns how many went, without those that go with them."""
    deleted = 0
    while batch := list(rows.values_list("pk", flat=True)[:BATCH]):
        began = time.monotonic()
        _, by_model = rows.model._default_manager.filter(pk__in=batch).delete()
        deleted += by_model.get(rows.model._meta.label, 0)
        if len(batch) == BATCH:
            time.sleep(time.monotonic() - began)  # SQLite lets those who wait in by chance: they have half of the time
    return deleted

"""Deleting many rows without holding others up."""

from django.db.models import QuerySet

BATCH = 500  # rows of one transaction


def delete_in_batches(rows: QuerySet) -> int:
    """Delete the rows, in their order, in transactions so small that nobody waits long for a lock; call it outside of one.
    Returns how many went, without those that go with them."""
    deleted = 0
    while batch := list(rows.values_list("pk", flat=True)[:BATCH]):
        _, by_model = rows.model._default_manager.filter(pk__in=batch).delete()
        deleted += by_model.get(rows.model._meta.label, 0)
    return deleted

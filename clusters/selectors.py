"""Querysets that several parts need."""

from typing import TypeVar

from django.db.models import Model, QuerySet

from clusters.models import Cluster

Row = TypeVar("Row", bound=Model)


def without_keys(rows: QuerySet[Row], path: str = "cluster") -> QuerySet[Row]:
    """Select each row's cluster together with the row, but not the cluster's TLS keys, which are long or encrypted.

    `path` leads from the row to its cluster, such as `application__cluster`; the relations on the way are selected as well.
    An empty path means that the rows are clusters themselves.
    """
    if not path:
        return rows.defer(*Cluster.KEYS)
    return rows.select_related(path).defer(*(f"{path}__{name}" for name in Cluster.KEYS))

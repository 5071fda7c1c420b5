"""Finds clusters that are one engine: whoever manages one of them manages what runs on all of them."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from clusters.access import visible_clusters
from clusters.models import Cluster


def mark_same_engines(rows: Iterable[Any]) -> None:
    """Set `same_engine` on each of the clusters: the others among them that report the same engine id."""
    by_engine: dict[str, list[Cluster]] = defaultdict(list)
    for row in rows:
        by_engine[row.engine_id].append(row)
    for row in rows:
        row.same_engine = [other for other in by_engine[row.engine_id] if row.engine_id and other.pk != row.pk]


def list_same_engine(user: Any, shown: Cluster) -> list[Cluster]:
    """Return the other clusters with the same engine id that the user may see, by name."""
    if not shown.engine_id:
        return []
    others = visible_clusters(user).filter(engine_id=shown.engine_id).exclude(pk=shown.pk)
    return list(others.only("name", "uid").order_by("name"))

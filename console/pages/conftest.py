from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.tests.factories import (
    ApplicationFactory,
    ClusterFactory,
)


@pytest.fixture
def harbour(db):
    return ClusterFactory(name="harbour")


@pytest.fixture
def applications(harbour):
    """b runs, a is degraded, c is stopped; on two clusters."""
    rows = (("b", "running", 1, harbour), ("a", "degraded", 3, ClusterFactory(name="quay")), ("c", "stopped", 2, harbour))
    now = timezone.now()
    times = [{"created_at": now - timedelta(days=age), "updated_at": now - timedelta(hours=age)} for _, _, age, _ in rows]
    return [
        ApplicationFactory(name=name, status=status, cluster=cluster, **known)
        for (name, status, _, cluster), known in zip(rows, times, strict=True)
    ]

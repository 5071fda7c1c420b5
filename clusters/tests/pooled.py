"""The database connections of a process as threads share them on PostgreSQL, also for tests on SQLite."""

import pytest
from django.db import connection


@pytest.fixture
def pooled(monkeypatch):
    """Treat the database's connections as those of a pool. Use it with `django_db(transaction=True)`: within the transaction of
    a test, a connection is never given back. Returns a function that says whether this thread holds one."""
    monkeypatch.setattr("clusters.waits.has_pool", lambda: True)
    return holds_connection


def holds_connection() -> bool:
    return connection.connection is not None

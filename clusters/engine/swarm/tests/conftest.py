import pytest

from clusters.engine import retry
from clusters.engine.swarm import follower
from clusters.engine.swarm.tests.executing import make_fake


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    for name in ("POLL_SECONDS", "QUIET_POLL_SECONDS"):
        monkeypatch.setattr(follower, name, 0)
    monkeypatch.setattr(retry, "RETRY_SECONDS", 0)


@pytest.fixture
def fake():
    return make_fake()

import pytest

from triggers.calls import nudges
from triggers.run.lease import CallLease


@pytest.fixture
def published(monkeypatch):
    """The ids of the applications that were nudged, instead of messages to a broker."""
    ids: list[int] = []
    monkeypatch.setattr(nudges, "publish_nudge", ids.append)
    return ids


@pytest.fixture(autouse=True)
def without_outwaiting(monkeypatch):
    """Run a call as soon as it is taken over: the lost worker of a test is really lost."""
    monkeypatch.setattr(CallLease, "outwait_predecessor", lambda lease: None)

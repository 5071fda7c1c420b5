import pytest

from triggers.calls import accept as calls
from triggers.run import runner


@pytest.fixture
def published(monkeypatch):
    """The ids of the calls that were published, instead of messages to a broker."""
    ids: list[str] = []
    monkeypatch.setattr(calls, "publish_call", lambda call_id: ids.append(str(call_id)))
    return ids


@pytest.fixture(autouse=True)
def without_outwaiting(monkeypatch):
    """A call is worked at as soon as it is taken over: the lost worker of a test is lost indeed."""
    monkeypatch.setattr(runner.Lease, "outwait_predecessor", lambda lease: None)

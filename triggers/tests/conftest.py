import pytest

from triggers import calls


@pytest.fixture
def published(monkeypatch):
    """The ids of the calls that were published, instead of messages to a broker."""
    ids: list[str] = []
    monkeypatch.setattr(calls, "publish_call", lambda call_id: ids.append(str(call_id)))
    return ids

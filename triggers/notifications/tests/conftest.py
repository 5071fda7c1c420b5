import pytest

from triggers.notifications.tests.receivers import serve_sink
from triggers.tests.factories import NotificationChannelFactory, NotificationRuleFactory


@pytest.fixture
def sink():
    with serve_sink() as sink:
        yield sink


@pytest.fixture
def channel(db, sink):
    """A webhook to the sink, with a rule for failures of everything."""
    channel = NotificationChannelFactory()
    channel.values = channel.values | {"url": f"{sink.address}/news"}
    channel.save()
    NotificationRuleFactory(channel=channel)
    return channel

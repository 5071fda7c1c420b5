import threading
import time

import pytest

from clusters.engine.errors import Cancelled, EngineRefused
from clusters.engine.fakes.fake_engine import FakeEngine
from clusters.engine.lanes import LaneRunner


def test_one_lane_that_fails_ends_the_others():
    lanes = LaneRunner(FakeEngine(), lambda *event: None, lambda: None)

    def fail(client):
        raise EngineRefused("no")

    def wait(client):
        lanes.pause(60)

    begun = time.monotonic()
    with pytest.raises(EngineRefused):
        lanes.run([wait, fail, wait])
    assert time.monotonic() - begun < 10


def test_the_current_operation_ends_before_the_rollback_begins(monkeypatch):
    """A start during the stop of the same container would have no effect."""
    monkeypatch.setattr("clusters.engine.lanes.BEAT_SECONDS", 0.0)
    cancelled, stopping = threading.Event(), threading.Event()
    lanes = LaneRunner(FakeEngine(), lambda *event: None, lambda: check())  # noqa: PLW0108 - defined below

    def check():
        if stopping.is_set():
            cancelled.set()
            raise Cancelled("Cancelled by bob.")

    done = []

    def stop(client):
        stopping.set()
        assert cancelled.wait(10)
        done.append("stopped")
        lanes.pause(0)

    with pytest.raises(Cancelled):
        lanes.run([stop])
    assert done == ["stopped"]

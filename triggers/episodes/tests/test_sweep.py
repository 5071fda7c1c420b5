"""One watcher at a time looks at all conditions."""

from types import SimpleNamespace

import pytest

from clusters.models import Lease
from triggers.episodes import sweep

pytestmark = pytest.mark.django_db


def test_all_conditions_are_looked_at_by_whoever_gets_the_lease(monkeypatch):
    looked = []

    def fail():
        looked.append("fail")
        raise RuntimeError("broken")

    monkeypatch.setattr("clusters.steady.connection", SimpleNamespace(close=lambda: None))  # the test's own
    monkeypatch.setattr(sweep, "CHORES", (fail, lambda: looked.append("next")))
    sweep.follow_conditions()
    sweep.follow_conditions()  # another watcher, a moment later
    assert looked == ["fail", "next"]
    Lease.objects.all().delete()
    sweep.follow_conditions()
    assert looked == ["fail", "next"] * 2


def test_an_empty_console_has_nothing_to_report():
    sweep.follow_conditions()

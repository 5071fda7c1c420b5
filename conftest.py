"""For every test of the project."""

import gc

import hypothesis
import pytest

# Two cores that also run engines and browsers: how long an example takes says nothing about the code.
hypothesis.settings.register_profile("shared", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("shared")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A long value's name is its length: megabytes are no name, and of compressed ones each process has another."""
    return f"{argname}-of-{len(val)}" if isinstance(val, str | bytes) and len(val) > 300 else None


def pytest_collection_finish() -> None:
    """Look for garbage rarely, and not at all among what stays: that took a tenth of the tests' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(autouse=True)
def no_surplus_pruner(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many rows a process has added depends on the tests before, so no prune begins by itself."""
    monkeypatch.setattr("clusters.batches.SurplusPruner.note_added", lambda pruner: None)


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    """What a process counts in memory belongs to one test."""
    from clusters.access.counted_acts import counted_acts
    from console.session_list import noted_uses
    from console.telemetry import line_limit
    from triggers.hook.old_secrets import old_secret_uses
    from triggers.notifications.full_queues import full_queues
    from triggers.pushes.refused_calls import refused_calls

    counted_acts.forget()
    refused_calls.forget()
    noted_uses.forget()
    line_limit.line_limit.forget()
    old_secret_uses.forget()
    full_queues.forget()

"""Asking registries whether a push is allowed, while a person waits."""

import threading

import pytest
from django.conf import settings

from clusters.registries import PushPermission
from clusters.waits import wait_for_registry
from triggers.pushes import subscriptions
from triggers.pushes.subscriptions import find_permissions

SLOW, QUICK = "slow.example.com/team/app", "quick.example.com/team/app"


@pytest.fixture
def slow_registry(monkeypatch):
    """A registry that answers when the event is set; another one answers at once."""
    is_released, is_asked = threading.Event(), threading.Semaphore(0)

    def answer(repository):
        if repository.startswith("slow"):
            is_asked.release()
            assert is_released.wait(60)
        return PushPermission(True)

    monkeypatch.setattr(subscriptions, "find_push_permission", answer)
    yield is_released, is_asked
    is_released.set()


def test_dialogs_that_wait_for_a_slow_registry_hold_up_no_others(slow_registry):
    is_released, is_asked = slow_registry
    found = []
    dialogs = [
        threading.Thread(target=lambda: found.append(find_permissions([SLOW])), daemon=True)
        for _ in range(settings.WAITING_REQUESTS_FOR_EACH)
    ]
    for dialog in dialogs:
        dialog.start()
    for _ in dialogs:
        assert is_asked.acquire(timeout=10)

    refused = find_permissions([QUICK, SLOW])
    assert list(refused) == [QUICK, SLOW]
    assert refused[QUICK] == PushPermission(True)
    assert refused[SLOW].reason == (
        "slow.example.com answers too slowly: 16 requests already wait, so this one was not sent. Try again in a moment."
    )
    is_released.set()
    for dialog in dialogs:
        dialog.join(10)
    assert found == [{SLOW: PushPermission(True)}] * len(dialogs)
    assert find_permissions([SLOW]) == {SLOW: PushPermission(True)}


def test_a_dialog_with_many_repositories_takes_one_place(slow_registry):
    is_released, _ = slow_registry
    is_released.set()
    with_places = [wait_for_registry("slow.example.com") for _ in range(settings.WAITING_REQUESTS_FOR_EACH - 1)]
    for place in with_places:
        place.__enter__()
    try:
        permissions = find_permissions([f"slow.example.com/team/app{number}" for number in range(20)])
    finally:
        for place in with_places:
            place.__exit__(None, None, None)
    assert set(permissions.values()) == {PushPermission(True)}

"""Simulates a worker that dies: from some request on, each one raises Killed instead of reaching the engine."""

from typing import Any

from clusters.engine.connection.client import EngineClient
from clusters.engine.fakes.fake_engine import FakeEngine

CHANGES = {
    "create_container",
    "connect_network",
    "disconnect_network",
    "start_container",
    "stop_container",
    "kill_container",
    "rename_container",
    "remove_container",
    "remove_volume",
    "update_restart_policy",
    "write_files",
    "pull_image",
}


class Killed(BaseException):
    """The worker has died. No handler of the code under test may treat this as an engine's error."""


class Countdown:
    """Lets `requests` changes through, then raises at every further request of any kind."""

    def __init__(self, requests: int) -> None:
        self.left = requests

    def __call__(self, method: str) -> None:
        if method in CHANGES:
            if self.left <= 0:
                self.left = -1
            else:
                self.left -= 1
        if self.left < 0:
            raise Killed(method)


def kill_after(fake: FakeEngine, changes: int) -> None:
    fake.before_request = Countdown(changes)


def revive(fake: FakeEngine) -> None:
    fake.before_request = lambda method: None


class MortalClient(EngineClient):
    """An EngineClient that dies after `countdown` changes, together with its siblings. It lives while `countdown` is None."""

    countdown: Countdown | None = None

    def sibling(self) -> Any:
        other = super().sibling()
        other.countdown = self.countdown
        return other

    def __getattribute__(self, name: str) -> Any:
        if name in CHANGES or name in {"inspect_container", "inspect_image", "list_containers"}:
            countdown = object.__getattribute__(self, "countdown")
            if countdown:
                countdown(name)
        return super().__getattribute__(name)

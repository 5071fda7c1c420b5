"""Engine clients for tests of a Swarm: one that others interfere with, and one that dies with its worker."""

from collections.abc import Callable
from typing import Any

from clusters.engine.connection.client import EngineClient
from tests.harness.interruption import Killed


class MeddledClient(EngineClient):
    """Someone else calls `meddle` just before the first `times` updates are sent."""

    times = 1
    meddle: Callable[[], Any] = staticmethod(lambda: None)

    def update_service(self, *arguments: Any, **named: Any) -> list[str]:
        if self.times:
            self.times -= 1
            self.meddle()
        return super().update_service(*arguments, **named)


class DyingClient(EngineClient):
    """The worker dies with the `number`th request of the kind `change`: right after it, or just before if not `is_sent`."""

    change = "update_service"
    number = 1
    is_sent = True

    def _send(self, name: str, *arguments: Any, **named: Any) -> list[str]:
        is_last = name == self.change and self.number == 1
        if is_last and not self.is_sent:
            raise Killed
        answer: list[str] = getattr(super(), name)(*arguments, **named)
        if name == self.change:
            self.number -= 1
        if is_last:
            raise Killed
        return answer

    def update_service(self, *arguments: Any, **named: Any) -> list[str]:
        return self._send("update_service", *arguments, **named)

    def roll_back_service(self, *arguments: Any, **named: Any) -> list[str]:
        return self._send("roll_back_service", *arguments, **named)

"""The operations of one-off containers: a pre-deploy step, and a check of a new container."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from clusters.engine.hooks import Check
from clusters.engine.operation import Operation
from clusters.engine.standalone.plan import Create, Ref

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient


@dataclass(frozen=True, kw_only=True)
class RunOnce(Operation):
    """Run a one-off container to its end, which has to be a success, before anything is touched.

    `begin` creates and starts it, and is empty where an earlier attempt has done so. `undo` stops and removes it, whatever came
    of it. `what` names it in sentences. `done`: the sentence that reports its success, if it must not be run again. `code`: the
    reason where it fails. `timeout` is in seconds.
    """

    word = "predeploy"
    container: Ref
    begin: tuple[Operation, ...]
    what: str
    shown: str
    code: str
    timeout: float
    done: str = ""

    @property
    def kind(self) -> str:
        """The word for its events."""
        return "predeploy" if self.done else "check"

    def describe(self) -> str:
        return self.shown if self.begin else f"wait for {self.what}, which an earlier attempt started"


@dataclass(frozen=True, kw_only=True)
class AskCheck(Operation):
    """Ask a new container's address from `helper`, which shares its network, until the check passes."""

    word = "check"
    container: Ref
    helper: Create
    check: Check

    def describe(self) -> str:
        return f"ask {self.check.address} of {self.container} until it answers, for {self.check.timeout:g} s at most"


@dataclass(frozen=True, kw_only=True)
class RemoveHelper(Operation):
    """Remove a container that nobody needs to end well, running or not."""

    word = "remove"
    container: Ref

    def describe(self) -> str:
        return f"remove {self.container}"


class Performer(Protocol):
    """What one-off containers need of handlers.OperationHandler."""

    def perform(self, client: "EngineClient", operation: Operation) -> None: ...

    def inspect(self, client: "EngineClient", container: str) -> dict[str, Any]: ...

    def find_id(self, container: Ref) -> str: ...

    def find_known_id(self, container: Ref) -> str: ...

    def forget(self, container: Ref) -> None: ...

    def keep_evidence(self, client: "EngineClient", container_id: str, name: str, cause: str) -> None: ...

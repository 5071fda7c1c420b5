"""The shape that both drivers' operations share."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One step of a plan: one engine request, with the reason for it.

    `cause` says why the plan has it. `undo` takes it back, and must be safe to run when the operation was only half done.
    `word` names the operation in a call's events.
    """

    word: ClassVar[str] = ""
    cause: str
    undo: "tuple[Operation, ...]" = ()

    def describe(self) -> str:
        raise NotImplementedError

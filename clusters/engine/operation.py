"""The shape that both drivers' operations share."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One step of a plan: one engine request, with the reason for it.

    `cause` is the reason. `undo` rolls the operation back; it must be safe to run after the operation was only half done.
    `word` names the operation in a call's events.
    """

    word: ClassVar[str] = ""
    cause: str
    undo: "tuple[Operation, ...]" = ()

    def describe(self) -> str:
        raise NotImplementedError

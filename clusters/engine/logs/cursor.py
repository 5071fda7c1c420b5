"""How far the logs of several containers were read, as a short text that a browser keeps and sends back."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

MOST_POSITIONS = 200
LONGEST = 16_000  # characters
TEXT = re.compile(r"1\.\d{1,19}(~[0-9a-f]{12}\.\d{1,19}\.\d{1,9})*", re.ASCII)


@dataclass(frozen=True)
class LogPosition:
    """The last line that was read from one log: the `ordinal`-th line (from 1) at `moment` (nanoseconds since 1970)."""

    moment: int
    ordinal: int


@dataclass(frozen=True)
class LogCursor:
    """`positions` are by make_source_key. A log without one is read from the moment `floor` on."""

    floor: int = 0
    positions: Mapping[str, LogPosition] = field(default_factory=dict)

    def encode(self) -> str:
        positions = (f"~{key}.{position.moment}.{position.ordinal}" for key, position in self.positions.items())
        return f"1.{self.floor}{''.join(positions)}"

    @classmethod
    def decode(cls, text: str) -> Self:
        """Raises ValueError for a text that `encode` did not make. A cursor says how far to skip, never which log to read."""
        if len(text) > LONGEST or not TEXT.fullmatch(text):
            raise ValueError("This is not a log cursor.")
        head, *parts = text.split("~")
        if len(parts) > MOST_POSITIONS:
            raise ValueError("The log cursor has too many positions.")
        found = (part.split(".") for part in parts)
        return cls(int(head[2:]), {key: LogPosition(int(moment), int(ordinal)) for key, moment, ordinal in found})


def make_source_key(source_id: str) -> str:
    return hashlib.sha256(source_id.encode()).hexdigest()[:12]

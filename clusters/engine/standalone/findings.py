"""What an observation finds besides the containers of its target."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Neighbour:
    """A container of the engine as its list shows it, whoever it belongs to."""

    id: str
    name: str
    runs: bool


@dataclass(frozen=True)
class CopiedFiles:
    """The `paths` of a container that its successor needs, and the `folders` above them that the image does not have.

    `doubt`: why that could not be decided, a sentence.
    """

    paths: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    doubt: str = ""


@dataclass(frozen=True)
class HookContainer:
    """A one-off container of an earlier plan. `kind`: see names.HOOK_LABEL; `call`: see names.HOOK_CALL_LABEL."""

    id: str
    name: str
    kind: str
    call: str
    service: str
    state: str

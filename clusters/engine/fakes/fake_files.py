"""A file of a FakeEngine's container."""

from dataclasses import dataclass

from clusters.engine.connection.file_requests import StoredFile


@dataclass(frozen=True)
class FakeFile:
    """`modified` is the file's own time, and `written` when it was put there, in the engine's format."""

    stored: StoredFile
    modified: str
    written: str

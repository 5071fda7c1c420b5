"""FakeEngine's answers about the files of containers. It knows only those that were copied in, or written by `write_file`."""

import posixpath
from collections.abc import Iterable
from datetime import UTC, datetime

from clusters.engine.connection.file_requests import FileStat, StoredFile
from clusters.engine.errors import EngineRefused, TargetMissing
from clusters.engine.fakes.fake_containers import Json
from clusters.engine.fakes.fake_files import FakeFile
from clusters.engine.fakes.fake_state import FakeState

CHANGED, ADDED = 0, 1


class FakeFileRequests(FakeState):
    """The fake of `connection.file_requests.FileRequests`."""

    def list_changes(self, container: str) -> list[Json]:
        with self._request("list_changes"):
            paths = self._files_of(container)
            folders = {posixpath.dirname(path) for path in paths} - paths.keys() - {"/"}
            changed = [{"Path": folder, "Kind": CHANGED} for folder in sorted(folders)]
            return [*changed, *({"Path": path, "Kind": ADDED} for path in sorted(paths))]

    def stat_file(self, container: str, path: str) -> FileStat | None:
        with self._request("stat_file"):
            found = self._files_of(container)
            if path in found:
                file = found[path]
                return FileStat(file.stored.kind, len(file.stored.content), file.modified)
            inside = [file.written for name, file in found.items() if posixpath.dirname(name) == path]
            return FileStat("folder", 0, max(inside)) if inside else None

    def read_file(self, container: str, path: str, limit: int) -> StoredFile:
        with self._request("read_file"):
            found = self._files_of(container).get(path)
            if found is None:
                raise TargetMissing(f"Could not find the file {path} in container {container}")
            if len(found.stored.content) > limit:
                raise EngineRefused(f"{path} has more than {limit} bytes.")
            return found.stored

    def write_files(self, container: str, files: Iterable[StoredFile], modified: int) -> None:
        with self._request("write_files", f"copy-into {self._name(container)}"):
            moment = datetime.fromtimestamp(modified, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            found = self._files_of(container)
            found |= {file.path: FakeFile(file, moment, self._now()) for file in files}

    def write_file(self, container: str, path: str, content: bytes = b"") -> None:
        """Let the container's process write a file, in the middle of a second as real ones are."""
        with self._lock:
            stored = StoredFile(path, "file", 0o644, (0, 0), content=content)
            moment = self._now()[:20] + "5Z"
            self._files_of(container)[path] = FakeFile(stored, moment, moment)

    def _files_of(self, container: str) -> dict[str, FakeFile]:
        return self.files.setdefault(str(self._find(container)["Id"]), {})

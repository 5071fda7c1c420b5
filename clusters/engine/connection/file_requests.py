"""Requests about the files of a container's own layer."""

import base64
import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from clusters.engine.connection.requester import EngineRequester
from clusters.engine.errors import EngineRefused, TargetMissing

CHANGES_PATIENCE = 120.0  # seconds; a storage driver without layers of its own compares all files of the image
CHUNK = 1 << 16  # bytes
FOLDER_BIT, LINK_BIT = 1 << 31, 1 << 27  # of a Go FileMode
OTHER_BITS = (1 << 26) | (1 << 25) | (1 << 24) | (1 << 21) | (1 << 19)  # devices, pipes, sockets
EXTENDED = "SCHILY.xattr."  # PAX records of extended attributes, such as file capabilities


@dataclass(frozen=True)
class FileStat:
    """A file's state. `kind` is `file`, `link`, `folder` or `other`; `modified` is in the engine's format, with nanoseconds."""

    kind: str
    size: int
    modified: str


@dataclass(frozen=True)
class StoredFile:
    """A file with everything that a copy needs. `path` is absolute; `attributes` are its extended attributes as PAX records.

    The content is never shown: it can be a secret.
    """

    path: str
    kind: str
    mode: int
    owner: tuple[int, int]
    target: str = ""  # of a symbolic link
    content: bytes = field(default=b"", repr=False)
    attributes: tuple[tuple[str, str], ...] = field(default=(), repr=False)


class FileRequests(EngineRequester):
    """The part of EngineClient for the files of containers."""

    def list_changes(self, container: str) -> list[dict[str, Any]]:
        """Return what differs from the image: `{"Path": "/etc/app.conf", "Kind": 1}`; 0 changed, 1 added, 2 removed.

        Mounts are left out. The engine writes null for no change at all.
        """
        with self._translated():
            answer = self._raw._get(self._raw._url("/containers/{0}/changes", container), timeout=CHANGES_PATIENCE)
            self._raw._raise_for_status(answer)
            return answer.json() or []

    def stat_file(self, container: str, path: str) -> FileStat | None:
        """Return the file's state, of a link the link's own; None if there is no such file."""
        try:
            with self._translated():
                url = self._raw._url("/containers/{0}/archive", container)
                answer = self._raw.head(url, params={"path": path}, timeout=self.timeout)
                self._raw._raise_for_status(answer)
                return parse_stat(answer.headers.get("X-Docker-Container-Path-Stat", ""))
        except TargetMissing:
            return None

    def read_file(self, container: str, path: str, limit: int) -> StoredFile:
        """Read one file; of a folder its owner and mode alone. Raises EngineRefused for more than `limit` bytes."""
        with self._translated():
            url = self._raw._url("/containers/{0}/archive", container)
            answer = self._raw._get(url, params={"path": path}, stream=True)
            try:
                self._raw._raise_for_status(answer)
                return read_first_entry(ChunkReader(answer.iter_content(CHUNK)), path, limit)
            finally:
                answer.close()

    def write_files(self, container: str, files: Iterable[StoredFile], modified: int) -> None:
        """Write the files with content, owner and mode. `modified` is their time, in seconds since 1970.

        Nothing is created or replaced but these: an existing folder stays a folder. Raises EngineRefused.
        """
        with self._translated():
            url = self._raw._url("/containers/{0}/archive", container)
            query = {"path": "/", "noOverwriteDirNonDir": "1"}
            headers = {"Content-Type": "application/x-tar"}
            answer = self._raw._put(url, params=query, data=pack_files(files, modified), headers=headers)
            self._raw._raise_for_status(answer)


class ChunkReader(io.RawIOBase):
    """A stream of chunks as a file, so that no more is read than the first entry needs."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._rest = iter(chunks), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            found = next(self._chunks, None)
            if found is None:
                return 0
            self._rest = found
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def parse_stat(header: str) -> FileStat:
    """Parse the header of an answer about an archive: base64 of `{"size": 3, "mode": 420, "mtime": "…", …}`."""
    try:
        found = json.loads(base64.b64decode(header))
        mode = int(found["mode"])
    except (ValueError, KeyError) as error:
        raise EngineRefused("The engine does not say what kind of file it is.") from error
    is_other = "other" if mode & OTHER_BITS else "file"
    kind = "folder" if mode & FOLDER_BIT else "link" if mode & LINK_BIT else is_other
    return FileStat(kind, int(found["size"]), str(found["mtime"]))


def read_first_entry(source: io.RawIOBase, path: str, limit: int) -> StoredFile:
    """Read the first entry of a tar stream, which is the requested file itself."""
    try:
        with tarfile.open(fileobj=io.BufferedReader(source), mode="r|") as archive:
            entry = archive.next()
            if entry is None:
                raise EngineRefused(f"The engine sent nothing for {path}.")
            return read_entry(archive, entry, path, limit)
    except tarfile.TarError as error:
        raise EngineRefused(f"The engine's archive of {path} cannot be read: {error}.") from error


def read_entry(archive: tarfile.TarFile, entry: tarfile.TarInfo, path: str, limit: int) -> StoredFile:
    attributes = tuple((key, value) for key, value in entry.pax_headers.items() if key.startswith(EXTENDED))
    kind = "folder" if entry.isdir() else "link" if entry.issym() else "file" if entry.isreg() else "other"
    stored = StoredFile(path, kind, entry.mode & 0o7777, (entry.uid, entry.gid), entry.linkname, attributes=attributes)
    if kind == "other":
        raise EngineRefused(f"{path} is neither a file nor a folder.")
    if kind != "file":
        return stored
    if entry.size > limit:
        raise EngineRefused(f"{path} has more than {limit} bytes.")
    content = archive.extractfile(entry)
    return replace(stored, content=content.read() if content else b"")


def pack_files(files: Iterable[StoredFile], modified: int) -> bytes:
    """Return a tar archive of the files, by their paths without the first slash. `modified` is in seconds since 1970."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in files:
            entry = tarfile.TarInfo(file.path.lstrip("/"))
            entry.type = {"folder": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}.get(file.kind, tarfile.REGTYPE)
            entry.mode, entry.mtime, entry.size = file.mode, modified, len(file.content)
            entry.uid, entry.gid = file.owner
            entry.linkname = file.target if file.kind == "link" else ""
            entry.pax_headers = dict(file.attributes)
            archive.addfile(entry, io.BytesIO(file.content))
    return packed.getvalue()

"""Find the files that were copied into a container before its start, as Compose does with inline configs and secrets.

No inspection shows such files: they are in the container's own layer, beside what the container wrote itself. The engine lists
what differs from the image, and gives the time of each file. Times tell the two apart:

- Nobody but a copy writes between the creation and the start.
- A copy by Docker's tools has a time of whole seconds, since a tar header has. What a process writes has nanoseconds.
- A copy that has an older time leaves its mark on the folder that it was put in: that one changed between creation and start.
- A file of the image whose owner or mode was changed keeps its older time, and its folder keeps its own.

A new file with an older time, in a folder that changed after the start, can be either. A few of them are a doubt, which the
plan refuses; many are what a container unpacked for itself.
"""

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from clusters.engine import names
from clusters.engine.errors import EngineRefused, EngineUnreachable, TargetMissing
from clusters.engine.standalone.findings import CopiedFiles
from clusters.engine.standalone.inspected import InspectedContainer
from clusters.engine.wording import sentence

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient

MOST_LOOKS = 1000  # changed files whose time is read: those in the emptiest folders first, and last where programs keep theirs
MOST_FILES = 256
MOST_BYTES = 16 << 20
MOST_DOUBTS = 20
ROUNDING = 2.0  # seconds; a tar header rounds the time
STARTING = 5.0  # seconds at most from the first act of a process to the time that the engine notes as its start
CLOCK_TOLERANCE = 60.0  # seconds by which the clock of the program that copied can be ahead of the engine's
FIRST_RUN_WITHIN = 60.0  # seconds from the creation to the start of a container that has ended, if it ran only once
SECRET_FOLDERS = ("/run/secrets/", "/var/run/secrets/")
# Where programs keep what they made. What is older than the container there was not copied in.
SCRATCH = re.compile(r"/(tmp|run|dev|var/(tmp|log|cache|lib|spool|run)|(usr/)?(s?bin|lib)|usr/share)/")
BACKUPS = {f"/etc/{name}-" for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")}  # the tools' own
CHANGED, ADDED = 0, 1  # of the engine's list
ADVICE = f"The label {names.FILES_LABEL} decides it: with the paths to keep, divided by commas, or with none."


@dataclass(frozen=True)
class Lifetime:
    """A container's times in seconds since 1970. `started`: its last start. `ran_until`: the end of an earlier run, or 0."""

    created: float
    started: float
    ran_until: float
    is_first_run: bool


@dataclass(frozen=True)
class ChangedFile:
    """A changed file, with times in seconds since 1970.

    `is_whole`: its time has whole seconds. `is_new`: the image does not have it. `folder_modified`: of the nearest folder above
    it that the image has. `new_folder_modified`: of the highest folder above it that the image does not have, or 0.
    `has_unseen_siblings`: its folder has more changed files than could be looked at.
    """

    path: str
    size: int
    modified: float
    is_whole: bool
    is_new: bool
    folder_modified: float
    new_folder_modified: float = 0.0
    has_unseen_siblings: bool = False


NOTHING = CopiedFiles()


def find_copied_files(client: "EngineClient", container: InspectedContainer) -> CopiedFiles:
    """Send one request, and one more for each changed file. Raises EngineUnreachable."""
    wanted = read_files_label(container)
    if wanted == () or container.host_config.get("ReadonlyRootfs"):
        return NOTHING
    try:
        changes = list_relevant_changes(client, container)
        if wanted:
            return complete(changes, [path for path in wanted if path in changes])
        return decide(container, changes, look_at(client, container, changes))
    except EngineUnreachable:
        raise
    except TargetMissing:  # removed after it was listed
        return NOTHING
    except EngineRefused as error:
        return CopiedFiles(
            doubt=f"The engine does not show what was copied into {container.name}: {sentence(error.message)} {ADVICE}"
        )


def read_files_label(container: InspectedContainer) -> tuple[str, ...] | None:
    """Return the paths that the label names; none of them for `none`, and None without the label."""
    text = container.labels.get(names.FILES_LABEL, "").strip()
    if not text:
        return None
    return () if text.lower() == "none" else tuple(posixpath.normpath(path.strip()) for path in text.split(",") if path.strip())


def list_relevant_changes(client: "EngineClient", container: InspectedContainer) -> dict[str, int]:
    """Return the changed and added paths with their kinds, without mounts: the engine creates an empty file to mount on."""
    mounts = {str(mount.get("Destination") or "").rstrip("/") for mount in container.mounts}
    mounts |= {str(path).rstrip("/") for path in container.host_config.get("Tmpfs") or {}}
    found = {str(change["Path"]): int(change["Kind"]) for change in client.list_changes(container.id)}
    return {path: kind for path, kind in found.items() if kind in {CHANGED, ADDED} and not is_below(path, mounts)}


def is_below(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders if folder)


def look_at(client: "EngineClient", container: InspectedContainer, changes: Mapping[str, int]) -> list[ChangedFile]:
    """Read the times of the changed files. Folders that were changed by what is in them are not asked for."""
    folders = {posixpath.dirname(path) for path in changes}
    files = [path for path in changes if path not in folders]
    crowd = Counter(map(posixpath.dirname, files))
    files.sort(key=lambda path: (not is_secret(path), bool(SCRATCH.match(path)), crowd[posixpath.dirname(path)], path))
    unseen = {posixpath.dirname(path) for path in files[MOST_LOOKS:]}
    times: dict[str, float] = {"": 0.0}

    def read_folder_time(folder: str) -> float:
        if folder not in times:
            stat = client.stat_file(container.id, folder)
            times[folder] = parse_time(stat.modified) if stat else 0.0
        return times[folder]

    found = []
    for path in files[:MOST_LOOKS]:
        stat = client.stat_file(container.id, path)
        if stat is None or stat.kind not in {"file", "link"}:
            continue
        folder, new_folder = posixpath.dirname(path), ""
        while changes.get(folder) == ADDED:
            folder, new_folder = posixpath.dirname(folder), folder
        found.append(
            ChangedFile(
                path=path,
                size=stat.size,
                modified=parse_time(stat.modified),
                is_whole="." not in stat.modified,
                is_new=changes[path] == ADDED,
                folder_modified=read_folder_time(folder),
                new_folder_modified=read_folder_time(new_folder),
                has_unseen_siblings=posixpath.dirname(path) in unseen,
            )
        )
    return found


def decide(container: InspectedContainer, changes: Mapping[str, int], files: Iterable[ChangedFile]) -> CopiedFiles:
    life = read_lifetime(container)
    copied, doubtful = [], []
    for file in files:
        verdict = judge(file, life)
        copied += [file] if verdict else []
        doubtful += [file.path] if verdict is None else []
    is_cut = any(file.has_unseen_siblings for file in copied)
    if is_cut or len(copied) > MOST_FILES or sum(file.size for file in copied) > MOST_BYTES:
        limit = f"{MOST_FILES} files or {MOST_BYTES >> 20} MB"
        what = f"{container.name} has more files that were copied in before its start than can be kept ({limit})."
        return CopiedFiles(doubt=f"{what} Mount them instead. {ADVICE}")
    if doubtful and len(doubtful) <= MOST_DOUBTS:
        shown = ", ".join(doubtful[:3]) + (f" and {len(doubtful) - 3} more" if len(doubtful) > 3 else "")
        what = f"It cannot be known whether {shown} in {container.name} was copied in before its start."
        return CopiedFiles(doubt=f"{what} {ADVICE}")
    return complete(changes, [file.path for file in copied])


def judge(file: ChangedFile, life: Lifetime) -> bool | None:
    """Return whether the file was copied in before the start; None if that cannot be known."""
    if not life.started or is_secret(file.path):
        return True
    if not file.is_new and file.folder_modified < life.created:
        return False  # nothing was put into its folder: only its owner or mode was changed, or its content in place
    if file.is_whole and life.created - ROUNDING <= file.modified <= life.started + CLOCK_TOLERANCE:
        return True
    if file.modified > life.started:
        return False
    if file.modified >= life.created:  # else a process wrote it in an earlier run, or while the engine noted the start
        begun = life.created if life.is_first_run else life.ran_until or life.started
        return begun <= file.modified < life.started - STARTING
    if life.is_first_run and life.created <= file.folder_modified < life.started:
        return True
    is_own = SCRATCH.match(file.path) is not None or file.path in BACKUPS or file.new_folder_modified > life.started
    return False if is_own or not file.is_new else None


def is_secret(path: str) -> bool:
    return path.startswith(SECRET_FOLDERS)


def complete(changes: Mapping[str, int], paths: Iterable[str]) -> CopiedFiles:
    """Add the folders above the paths that the image does not have, the highest first."""
    paths = sorted(paths)
    folders = set()
    for path in paths:
        folder = posixpath.dirname(path)
        while changes.get(folder) == ADDED:
            folders.add(folder)
            folder = posixpath.dirname(folder)
    return CopiedFiles(tuple(paths), tuple(sorted(folders)))


def read_lifetime(container: InspectedContainer) -> Lifetime:
    state: Mapping[str, Any] = container.details["State"]
    finished = parse_time(str(state.get("FinishedAt") or ""))
    created, started = parse_time(str(container.details.get("Created") or "")), parse_time(container.started_at)
    if container.runs_now:
        return Lifetime(created, started, ran_until=finished, is_first_run=not finished)
    ran_once = not container.details.get("RestartCount") and started - created <= FIRST_RUN_WITHIN
    return Lifetime(created, started, ran_until=0.0, is_first_run=ran_once)


def parse_time(text: str) -> float:
    """Return seconds since 1970 of a time in the engine's format; 0 for none, whose year is 1."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.timestamp() if moment.year > 1970 else 0.0

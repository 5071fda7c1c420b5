"""What an operation does with files and paths: those of the host that a container needs, and those that were copied in."""

from typing import TYPE_CHECKING

from clusters.engine.errors import EngineRefused
from clusters.engine.standalone.copied_files import MOST_BYTES, parse_time
from clusters.engine.standalone.plan import CopyFiles, Restart
from clusters.engine.wording import explain_missing_path

if TYPE_CHECKING:
    from clusters.engine.connection.client import EngineClient


def check_paths(client: "EngineClient", operation: Restart, container: str) -> None:
    """Raise EngineRefused if the container needs a path that the host no longer has."""
    found = client.inspect_container(container) if operation.paths else {}
    if found and (missing := client.find_missing_paths(found["Name"].lstrip("/"), found["Image"], operation.paths)):
        raise EngineRefused(explain_missing_path(operation.container.name, missing[0]), code="bind_source")


def copy_files(client: "EngineClient", operation: CopyFiles, source: str, target: str) -> None:
    """Copy with the time of the target's creation, as Compose does, so that the next redeploy finds the files again."""
    left, files = MOST_BYTES, []
    for path in (*operation.folders, *operation.paths):
        files.append(client.read_file(source, path, left))
        left -= len(files[-1].content)
    created = parse_time(str(client.inspect_container(target)["Created"]))
    client.write_files(target, files, int(created))

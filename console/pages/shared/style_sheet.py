"""One style sheet for the browser, made of the sheets that stand beside the pages they style.

A sheet of its own for each room keeps a rule where it is used; one file costs a page one request.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage

NAME = "console/console.css"
PAGES = Path(__file__).parent.parent
# In this order: what all pages share, pieces of pages, sections, and the Django admin.
SHEETS = (
    "shared/styles/tokens",
    "shared/styles/ground",
    "shared/styles/shell",
    "shared/styles/controls",
    "shared/styles/status",
    "shared/styles/panels",
    "shared/styles/tables",
    "shared/styles/forms",
    "shared/styles/dialogs",
    "shared/styles/search",
    "shared/trigger_panel/trigger_panel",
    "shared/configuration/configuration",
    "shared/image_history/image_history",
    "shared/logs/logs",
    "account/account",
    "api/api",
    "applications/applications",
    "calls/calls",
    "clusters/clusters",
    "containers/containers",
    "freezes/freezes",
    "help/help",
    "notifications/notifications",
    "overview/overview",
    "registries/registries",
    "triggers/triggers",
    "shared/styles/administration",
)


class StyleSheetFinder(BaseFinder):
    """A finder of static files that knows one file: the sheets joined, kept in the data folder."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.storage = FileSystemStorage(location=settings.DATA_DIR / "styles")

    def check(self, **options: Any) -> list[Any]:
        return []

    def find(self, path: str, find_all: bool = False, **options: Any) -> Any:
        if path != NAME:
            return []
        found = str(self._write())
        return [found] if find_all else found

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, FileSystemStorage]]:
        self._write()
        yield NAME, self.storage

    def _write(self) -> Path:
        """Write the joined sheet where it has changed, whole or not at all: several processes may look for it at once."""
        target, text = Path(self.storage.path(NAME)), join_sheets()
        if not target.exists() or target.read_text() != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=target.parent, delete=False) as file:
                file.write(text)
            os.chmod(file.name, 0o644)
            os.replace(file.name, target)
        return target


def join_sheets() -> str:
    return "\n".join((PAGES / f"{sheet}.css").read_text() for sheet in SHEETS)

"""Lists as CSV, sent as they are read."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from console.pages.shared.downloads import send_download

BLOCK_CHARACTERS = 32_000  # sent at once


def send_csv(request: HttpRequest, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> HttpResponseBase:
    """Send a file `windlass-<name>-<UTC date>.csv`. None becomes an empty cell; text that looks like a formula is defused."""
    file_name = f"windlass-{name}-{datetime.now(UTC):%Y-%m-%d}.csv"
    return send_download(request, file_name, "text/csv; charset=utf-8", lambda: _write_blocks(columns, rows))


def describe_filters(request: HttpRequest) -> dict[str, str]:
    """Return the filters in the address as a detail for the audit log: none without any. What was searched for is left out: in
    a container's log it can be a secret."""
    chosen = [(name, value) for name, value in request.GET.items() if value and name != "q"]
    return {"filters": urlencode(chosen)[:500]} if chosen else {}


class _Line:
    """A file for csv.writer that returns each line instead of storing it."""

    def write(self, line: str) -> str:
        return line


def _write_blocks(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    block = ""
    for line in _write_lines(columns, rows):
        block += line
        if len(block) >= BLOCK_CHARACTERS:
            yield block
            block = ""
    yield block


def _write_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    writer = csv.writer(_Line())
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow([_defuse(cell) for cell in row])


def _defuse(cell: Any) -> str:
    """Quote text that a spreadsheet takes for a formula: anybody can try to sign in under such a user name."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text

"""What failed containers and tasks left behind, on the page of their call and as a file."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from clusters.access.audit import record_act
from clusters.engine.evidence import LINES
from console.pages.shared.downloads import send_download
from console.pages.shared.page import console_page, get_visible, require
from console.wording import short_id
from triggers.models import CallEvidence, TriggerCall
from triggers.selectors import whole_calls

SEARCH_LENGTH = 255


@dataclass(frozen=True)
class EvidenceShown:
    """`lines` are those that match the search, each with its time, its stream and its text; `count` is of all lines."""

    row: CallEvidence
    lines: list[tuple[str, str, str]]
    count: int

    @property
    def image(self) -> str:
        image_id = short_id(self.row.image_id)
        return f"{self.row.image} ({image_id})" if image_id and self.row.image else self.row.image or image_id


def describe_evidence(request: HttpRequest, call: TriggerCall) -> dict[str, Any] | None:
    """Return the context of `_call_evidence.html`; None where nothing failed. Lines are for those who may read logs."""
    if not call.failure:
        return None
    may_read = request.user.has_perm("clusters.view_logs", call)
    text = request.GET.get("q", "")[:SEARCH_LENGTH] if may_read else ""
    rows = list(call.evidence.all() if may_read else call.evidence.defer("lines"))
    return {
        "may_read": may_read,
        "query": text,
        "shown": [show_evidence(row, text) if may_read else EvidenceShown(row, [], 0) for row in rows],
        "failed": call.failure["failed"],
        "left_out": max(call.failure["failed"] - len(rows), 0),
        "most": LINES,
    }


def show_evidence(row: CallEvidence, text: str) -> EvidenceShown:
    lines = [(time[11:23], stream, line) for time, stream, line in row.lines if text.lower() in line.lower()]
    return EvidenceShown(row, lines, len(row.lines))


@require_safe
@console_page
def call_evidence(request: HttpRequest, call_id: UUID) -> HttpResponseBase:
    """Send the evidence of all containers and tasks as one file."""
    shown = get_visible(request, whole_calls(), pk=call_id)
    require(request, "clusters.view_logs", shown)
    rows = (shown.merged_into or shown).evidence.all()
    name = f"evidence-{shown.pk}-{shown.queued_at:%Y%m%dT%H%M%SZ}.log"
    record_act(request, "logs.download", shown.service or shown.application, call=str(shown.pk))
    return send_download(request, name, "text/plain; charset=utf-8", lambda: iter(write_evidence(rows)))


def write_evidence(rows: Iterable[CallEvidence]) -> Iterable[str]:
    for row in rows:
        code = "" if row.exit_code is None else f", exit code {row.exit_code}"
        head = f"[{row.name}, {EvidenceShown(row, [], 0).image or 'unknown image'}{code}: {row.cause}]\n"
        cut = f"[Only the last {len(row.lines)} lines were kept.]\n" if row.is_cut else ""
        problem = f"[Its output could not be read: {row.problem}]\n" if row.problem else ""
        yield head + cut + problem + "".join(f"{time} {stream} {text}\n" for time, stream, text in row.lines) + "\n"

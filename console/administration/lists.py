"""What a list of the admin shows: headings that sort, cells, filters as menus, and paging."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.templatetags.admin_list import result_headers
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.utils import lookup_field
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from clusters.access.audit import ACTIONS
from clusters.models import AuditEntry
from console.administration.values import show_cell
from console.administration.wording import label_field, name_one

CHECKBOX = "action_checkbox"


@dataclass(frozen=True)
class Heading:
    """`address` sorts by the column, and is empty where that cannot be; `direction` is the word of `aria-sort`."""

    label: SafeString | str
    address: str = ""
    direction: str = ""


@dataclass(frozen=True)
class Cell:
    """`address` is that of the row's page, in the cell that leads there."""

    content: SafeString | str
    address: str = ""
    is_checkbox: bool = False


@dataclass(frozen=True)
class Choice:
    label: str
    address: str
    is_selected: bool


@dataclass(frozen=True)
class Filter:
    label: str
    choices: list[Choice]

    @property
    def chosen(self) -> str:
        """The label of what is chosen; empty if nothing is left out."""
        return next((choice.label for choice in self.choices[1:] if choice.is_selected), "")


def list_headings(cl: ChangeList) -> list[Heading]:
    headings = []
    described: Iterator[dict[str, Any]] = result_headers(cl)
    for name, heading in zip(cl.list_display, described, strict=True):
        if name == CHECKBOX:
            headings.append(Heading(heading["text"]))
            continue
        direction = ("descending", "ascending")[heading["ascending"]] if heading.get("sorted") else ""
        own = name_one(cl.model).capitalize() if name == "__str__" else heading["text"]
        label = label_field(name if isinstance(name, str) else name.__name__, own)
        headings.append(Heading(label, heading.get("url_primary", ""), direction))
    return headings


def list_rows(cl: ChangeList) -> Iterator[list[Cell]]:
    linked = next(name for name in cl.list_display if name != CHECKBOX)
    for row in cl.result_list:
        address = add_preserved_filters({"preserved_filters": cl.preserved_filters, "opts": cl.opts}, cl.url_for_result(row))
        yield [
            Cell(lookup_field(name, row, cl.model_admin)[2], is_checkbox=True)
            if name == CHECKBOX
            else Cell(show_cell(name, row, cl.model_admin), address if name == linked else "")
            for name in cl.list_display
        ]


def list_filters(cl: ChangeList) -> list[Filter]:
    words = ACTIONS if cl.model is AuditEntry else {}
    filters = []
    for spec in cl.filter_specs:
        label = label_field(getattr(spec, "field_path", "").rpartition("__")[2], spec.title)
        choices = []
        for one in spec.choices(cl):
            word = str(one["display"])
            choices.append(Choice(str(capfirst(words.get(word, word))), str(one["query_string"]), bool(one["selected"])))
        filters.append(Filter(label, choices))
    return filters


def list_pages(cl: ChangeList) -> dict[str, Any]:
    """Return the addresses of the pages before and after, empty where there is none, and which rows are shown."""
    first = (cl.page_num - 1) * cl.list_per_page
    shown = cl.result_count if cl.show_all else len(cl.result_list)
    has_next = not cl.show_all and cl.page_num < cl.paginator.num_pages
    return {
        "previous": cl.get_query_string({PAGE_VAR: cl.page_num - 1}) if cl.page_num > 1 else "",
        "next": cl.get_query_string({PAGE_VAR: cl.page_num + 1}) if has_next else "",
        "first": first + 1,
        "last": first + shown,
        "count": cl.result_count,
    }

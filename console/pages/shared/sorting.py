"""Lists that are sorted by a click on a column's heading. The order is in the address: `sort=name`, `sort=-updated`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Case, F, Model, OrderBy, QuerySet, Value, When
from django.db.models.expressions import Combinable
from django.http import HttpRequest

from clusters.models import Application

Row = TypeVar("Row", bound=Model)
Columns = Mapping[str, str | Combinable]  # a column's word in the address, and what its rows are ordered by

NEWEST_FIRST = {"created", "updated"}  # columns of times: what is new is asked for first
SEVERITY = (Application.Status.DEGRADED, Application.Status.RUNNING, Application.Status.STOPPED, Application.Status.ABSENT)


@dataclass(frozen=True)
class Sorting:
    column: str
    descending: bool
    columns: Columns

    @classmethod
    def from_request(cls, request: HttpRequest, columns: Columns) -> "Sorting":
        """As the address has it, else by the first of the columns."""
        asked = request.GET.get("sort", "")
        column = asked.removeprefix("-")
        if column not in columns:
            return cls(next(iter(columns)), False, columns)
        return cls(column, asked.startswith("-"), columns)

    @property
    def word(self) -> str:
        """As it stands in the address; empty for the order that needs no word."""
        first = not self.descending and self.column == next(iter(self.columns))
        return "" if first else f"{'-' if self.descending else ''}{self.column}"

    def apply(self, rows: QuerySet[Row]) -> QuerySet[Row]:
        """Rows that are equal in the column follow the first two of the columns."""
        first = list(self.columns.values())[:2]
        return rows.order_by(self._order(self.columns[self.column]), *map(_expression, first), "pk")

    def next_word(self, column: str) -> str:
        """What a click on the column's heading asks for: the other direction, or that in which the column is read first."""
        descending = not self.descending if column == self.column else column in NEWEST_FIRST
        return f"{'-' if descending else ''}{column}"

    def direction(self, column: str) -> str:
        """For `aria-sort`; empty for a column that the rows are not sorted by."""
        if column != self.column:
            return ""
        return "descending" if self.descending else "ascending"

    def _order(self, by: str | Combinable) -> OrderBy:
        """Rows without a value come last both ways."""
        expression = _expression(by)
        return expression.desc(nulls_last=True) if self.descending else expression.asc(nulls_last=True)


def by_severity(field: str = "status") -> Case:
    """What needs somebody first."""
    whens = [When(**{field: status}, then=Value(rank)) for rank, status in enumerate(SEVERITY)]
    return Case(*whens, default=Value(len(SEVERITY)))


def _expression(by: str | Combinable) -> Any:
    return F(by) if isinstance(by, str) else by

"""Lists sorted by a click on a column heading. The address holds the order: `sort=name`, `sort=-updated`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Case, F, Model, OrderBy, QuerySet, Value, When
from django.db.models.expressions import Combinable
from django.http import HttpRequest

from clusters.models import Application

Row = TypeVar("Row", bound=Model)
Columns = Mapping[str, str | Combinable]  # from the column's word in the address to the expression that orders the rows

NEWEST_FIRST = {"created", "updated"}  # time columns; the first click shows the newest rows
SEVERITY = (Application.Status.DEGRADED, Application.Status.RUNNING, Application.Status.STOPPED, Application.Status.ABSENT)


@dataclass(frozen=True)
class Sorting:
    """The order of a list: one of its columns and a direction."""

    column: str
    descending: bool
    columns: Columns

    @classmethod
    def from_request(cls, request: HttpRequest, columns: Columns) -> "Sorting":
        """Read the order from the address; by default the rows are ordered by the first column."""
        requested = request.GET.get("sort", "")
        column = requested.removeprefix("-")
        if column not in columns:
            return cls(next(iter(columns)), False, columns)
        return cls(column, requested.startswith("-"), columns)

    @property
    def word(self) -> str:
        """The order as the address has it; empty for the default order."""
        first = not self.descending and self.column == next(iter(self.columns))
        return "" if first else f"{'-' if self.descending else ''}{self.column}"

    def apply(self, rows: QuerySet[Row]) -> QuerySet[Row]:
        """Order the rows; those equal in the column follow the first two columns."""
        first = [by for column, by in list(self.columns.items())[:2] if column != self.column]
        return rows.order_by(self._order(self.columns[self.column]), *map(_expression, first), "pk")

    def next_word(self, column: str) -> str:
        """Return the order that a click on the heading requests: the other direction, or the column's usual one."""
        descending = not self.descending if column == self.column else column in NEWEST_FIRST
        return f"{'-' if descending else ''}{column}"

    def direction(self, column: str) -> str:
        """Return the value of `aria-sort`; empty for a column that does not order the rows."""
        if column != self.column:
            return ""
        return "descending" if self.descending else "ascending"

    def _order(self, by: str | Combinable) -> OrderBy:
        """Order by the expression; rows without a value come last in both directions."""
        expression = _expression(by)
        return expression.desc(nulls_last=True) if self.descending else expression.asc(nulls_last=True)


def by_severity(field: str = "status") -> Case:
    """Order by status, the worst first."""
    whens = [When(**{field: status}, then=Value(rank)) for rank, status in enumerate(SEVERITY)]
    return Case(*whens, default=Value(len(SEVERITY)))


def _expression(by: str | Combinable) -> Any:
    return F(by) if isinstance(by, str) else by

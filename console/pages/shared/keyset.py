"""Pages of long lists in the order of time, newest first. They continue behind a row: no page counts rows or skips them.

Every list is ordered by a field with a time and then by primary key, both descending.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet

LAST_MOMENT = 253_402_300_799_999_999  # µs since 1970: the end of the year 9999
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class PagePosition:
    """A place between two rows of a list: behind the row `row_id` of the time `moment`. In an address it is text."""

    moment: datetime
    row_id: UUID = UUID(int=0)  # behind all rows of the moment

    def __str__(self) -> str:
        return f"{(self.moment - EPOCH) // timedelta(microseconds=1)}.{self.row_id.hex}"

    @classmethod
    def parse(cls, text: str) -> "PagePosition | None":
        """Read a position from an address; None for anything else."""
        moment, _, row_id = text.partition(".")
        if not (moment.isascii() and moment.isdigit() and len(moment) < 19 and int(moment) <= LAST_MOMENT):
            return None
        try:
            return cls(EPOCH + timedelta(microseconds=int(moment)), UUID(row_id))
        except ValueError:
            return None


def continue_behind(rows: QuerySet[Row], field: str, position: PagePosition | None) -> QuerySet[Row]:
    """Return the rows behind the position; all rows without one. `field` names the field with the time."""
    return take_older(rows, field, position.moment, position.row_id) if position else rows


def take_older(rows: QuerySet[Row], field: str, moment: datetime, pk: Any) -> QuerySet[Row]:
    """Return the rows that come after the row `pk` of that moment."""
    older = Q(**{f"{field}__lt": moment}) | Q(**{field: moment}, pk__lt=pk)
    return rows.filter(older, **{f"{field}__lte": moment})


def find_horizon(rows: QuerySet[Row], field: str, position: PagePosition | None, number: int) -> datetime | None:
    """Return the time of the row `number` rows behind the position; None if there are fewer rows. It reads an index alone.

    Give it all rows of the table: a page that filters looks through no more than these for the rows that match."""
    rows = rows.order_by(f"-{field}")
    if position:
        rows = rows.filter(**{f"{field}__lte": position.moment})
    found: datetime | None = rows.values_list(field, flat=True)[number : number + 1].first()
    return found

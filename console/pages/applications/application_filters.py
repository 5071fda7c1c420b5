"""The filters of the list of applications, and counts of what they hide."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest

from clusters.models import Application, Service
from console.pages.shared.natural_order import NaturalOrder
from console.pages.shared.page import read_query
from console.pages.shared.sorting import Columns, Sorting, by_severity

ONLINE = (Application.Status.RUNNING, Application.Status.DEGRADED)
COLUMNS: Columns = {
    "name": NaturalOrder("name"),
    "cluster": NaturalOrder("cluster__name"),
    "status": by_severity(),
    "created": "created_at",
    "updated": "updated_at",
}
# What each check box hides.
HIDDEN = {
    "hide_system": Q(system=True),
    "hide_offline": ~Q(status__in=ONLINE),
    "hide_online": Q(status__in=ONLINE),
}
WORDS = {"hide_system": "system", "hide_offline": "offline", "hide_online": "online"}


@dataclass(frozen=True)
class HiddenApplications:
    """The number of applications that one check box alone hides. `query` is the query string with that box unchecked."""

    word: str
    count: int
    query: str


@dataclass(frozen=True)
class ApplicationCounts:
    """Counts for the list. `total` is all that the reader can see on the selected cluster."""

    shown: int
    total: int
    hidden: list[HiddenApplications]


@dataclass(frozen=True)
class ApplicationFilters:
    """The filters in the address. Until the form is used, system applications are hidden."""

    query: str
    boxes: frozenset[str]
    sorting: Sorting

    @classmethod
    def from_request(cls, request: HttpRequest) -> "ApplicationFilters":
        boxes = {box for box in HIDDEN if box in request.GET}
        if "filtered" not in request.GET:
            boxes.add("hide_system")
        return cls(read_query(request, "q"), frozenset(boxes), Sorting.from_request(request, COLUMNS))

    @property
    def is_narrow(self) -> bool:
        """True if the filters differ from the default."""
        return bool(self.query) or self.boxes != {"hide_system"}

    def apply(self, rows: QuerySet[Application]) -> QuerySet[Application]:
        return self.sorting.apply(self._search(rows).exclude(self._hidden(self.boxes)))

    def count(self, rows: QuerySet[Application]) -> ApplicationCounts:
        """Count what is shown and hidden: one query, or two for a search."""
        found = self._search(rows)
        only_by = {box: HIDDEN[box] & ~self._hidden(self.boxes - {box}) for box in sorted(self.boxes)}
        numbers = found.order_by().aggregate(
            all=Count("pk"),
            shown=Count("pk", filter=~self._hidden(self.boxes)),
            **{box: Count("pk", filter=hidden) for box, hidden in only_by.items()},
        )
        return ApplicationCounts(
            shown=numbers["shown"],
            total=rows.count() if self.query else numbers["all"],
            hidden=[HiddenApplications(WORDS[box], numbers[box], self._query_without(box)) for box in only_by if numbers[box]],
        )

    def _search(self, rows: QuerySet[Application]) -> QuerySet[Application]:
        if not self.query:
            return rows
        with_image = Service.objects.filter(image__icontains=self.query).values("application")
        return rows.filter(Q(name__icontains=self.query) | Q(pk__in=with_image))

    def _query_without(self, box: str) -> str:
        boxes = [(other, "on") for other in HIDDEN if other in self.boxes - {box}]
        kept = [("q", self.query), ("sort", self.sorting.word)]
        return urlencode([("filtered", "1"), *boxes, *[(name, value) for name, value in kept if value]])

    @staticmethod
    def _hidden(boxes: frozenset[str]) -> Q:
        """Match what any of the boxes hides."""
        hidden = Q(pk__in=[])
        for box in boxes:
            hidden |= HIDDEN[box]
        return hidden

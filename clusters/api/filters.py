"""Lists that a request's query narrows."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import QuerySet

from clusters.api.parameters import read_id_parameter, read_word_parameter
from clusters.api.permissions import VisibleRows


class FilteredRows(VisibleRows):
    """Visible rows, narrowed by the query's parameters.

    `id_filters` names the parameters that hold the id of a related row. `word_filters` maps the parameters that hold a word to
    the words that are accepted. Each parameter has the name of its field."""

    id_filters: Sequence[str] = ()
    word_filters: Mapping[str, Sequence[str]] = {}

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        for name in self.id_filters:
            if (row_id := read_id_parameter(self.request, name)) is not None:
                queryset = queryset.filter(**{name: row_id})
        for name, words in self.word_filters.items():
            if (word := read_word_parameter(self.request, name, words)) is not None:
                queryset = queryset.filter(**{name: word})
        return queryset

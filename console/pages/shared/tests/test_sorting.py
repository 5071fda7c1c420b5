"""Lists sorted by their column headings."""

import re

import pytest

from clusters.models import Application
from clusters.tests.factories import ServiceFactory
from console.pages.tests.reading import names_in, text_of


class TestSorting:
    @pytest.mark.parametrize(
        ("sort", "order"),
        [
            ("", "abc"),
            ("-name", "cba"),
            ("cluster", "bca"),
            ("status", "abc"),
            ("-status", "cba"),
            ("created", "acb"),
            ("-created", "bca"),
            ("-updated", "bca"),
            ("nothing", "abc"),
        ],
    )
    def test_applications_are_sorted_as_the_address_says(self, reader, applications, sort, order):
        assert names_in(reader.get(f"/applications/?sort={sort}")) == list(order)

    def test_rows_without_a_time_come_last_in_both_directions(self, reader, applications):
        Application.objects.filter(name="b").update(created_at=None)
        for sort in ("created", "-created"):
            assert names_in(reader.get(f"/applications/?sort={sort}"))[-1] == "b"

    def test_a_heading_says_how_it_is_sorted_and_leads_to_the_other_direction_with_the_filters(self, reader, applications):
        text = text_of(reader.get("/applications/?filtered=1&q=&hide_offline=on&sort=status&page=1"))
        heading = re.search(r'<th [^>]*aria-sort="ascending">\s*<a id="sort-status" href="([^"]*)"', text)
        assert heading
        assert "sort=-status" in heading[1]
        assert "hide_offline=on" in heading[1]
        assert "page=" not in heading[1]
        assert 'id="sort-created" href="/applications/?' in text
        assert "sort=-created" in text  # the newest first
        assert text.count("aria-sort") == 1

    def test_services_are_sorted_too(self, reader, applications):
        for application, name, status in zip(
            applications, ("web", "db", "api"), ("running", "degraded", "stopped"), strict=True
        ):
            ServiceFactory(application=application, name=name, status=status)
        assert names_in(reader.get("/services/")) == ["db", "web", "api"]  # by application
        assert names_in(reader.get("/services/?sort=name")) == ["api", "db", "web"]
        assert names_in(reader.get("/services/?sort=-status")) == ["api", "web", "db"]

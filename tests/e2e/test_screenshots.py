"""A page that did not load whole is no picture for the documentation."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.e2e.browsing import Visitor, open_browser
from tests.e2e.screenshots import FIND_MISSING, watch_requests
from tests.e2e.site import Site


@pytest.fixture
def visitor(chromium: Browser, site: Site) -> Iterator[Visitor]:
    with open_browser(chromium, site, "admin") as visitor:
        yield visitor


def test_a_whole_page_has_no_faults(visitor: Visitor) -> None:
    with watch_requests(visitor.page) as failures:
        visitor.visit("/applications/")
    assert [*failures, *visitor.page.evaluate(FIND_MISSING)] == []


@pytest.mark.parametrize(
    ("lost", "fault"),
    [
        ("**/*.css", "no style sheet"),
        ("**/icons*.svg", "icons are missing"),
        ("**/*.woff2", "no font"),
        ("**/*.js", ""),
    ],
)
def test_a_page_that_lost_a_request_is_refused(visitor: Visitor, lost: str, fault: str) -> None:
    visitor.page.route(lost, lambda route: route.abort())
    with watch_requests(visitor.page) as failures:
        visitor.page.goto("/applications/")
    assert any("failed" in failure for failure in failures)
    assert fault in "; ".join(visitor.page.evaluate(FIND_MISSING))
    visitor.complaints.clear()

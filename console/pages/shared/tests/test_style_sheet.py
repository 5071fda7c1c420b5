"""The style sheet: every room's sheet is in it, each rule has a use, and a page loads it alone."""

import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from console.pages.shared.style_sheet import NAME, PAGES, SHEETS, join_sheets

ADMINISTRATION = "shared/styles/administration"  # names of Django's own templates
# The last part of these names is a state, a level, a kind or a number, put in when a page is rendered.
BUILT = ("ansi-", "badge-", "decision-", "hint-", "message-", "name-", "shape-", "timeline-", "tone-", "verdict-")
BASE_DIR = PAGES.parent.parent
SOURCES = [
    path
    for folder in ("templates", "console", "clusters", "triggers")
    for ending in ("*.html", "*.py", "*.js")
    for path in (BASE_DIR / folder).rglob(ending)
    if "tests" not in path.parts
]


def read_rules(sheet: str) -> str:
    return re.sub(r"/\*.*?\*/", "", (PAGES / f"{sheet}.css").read_text(), flags=re.DOTALL)


def find_names(sheet: str) -> set[str]:
    """Classes and ids that the sheet's selectors name."""
    selectors = " ".join(re.findall(r"([^{};]+)\{", read_rules(sheet)))
    return set(re.findall(r"[.#]([a-zA-Z][\w-]*)", re.sub(r'"[^"]*"', "", selectors)))


@pytest.fixture(scope="module")
def words() -> set[str]:
    return {word for path in SOURCES for word in re.findall(r"[\w-]+", path.read_text())}


def test_every_sheet_beside_a_page_is_in_the_one_that_is_served():
    there = {str(path.relative_to(PAGES).with_suffix("")) for path in PAGES.rglob("*.css")}
    assert there == set(SHEETS)
    assert all((PAGES / f"{sheet}.css").read_text() in join_sheets() for sheet in SHEETS)


@pytest.mark.parametrize("sheet", [sheet for sheet in SHEETS if sheet != ADMINISTRATION])
def test_every_rule_has_a_use(sheet, words):
    unused = {name for name in find_names(sheet) if name not in words and not name.startswith(BUILT)}
    assert unused - {"id_kind", "id_action"} == set()  # ids of Django's form fields


@pytest.mark.parametrize("prefix", BUILT)
def test_a_name_that_is_built_is_built_somewhere(prefix):
    begins = re.compile(rf"{prefix}({{|'|\"|$)", re.MULTILINE)
    assert any(begins.search(path.read_text()) for path in SOURCES)


def test_every_variable_that_a_rule_reads_is_defined():
    text = join_sheets()
    assert set(re.findall(r"var\((--[\w-]+)", text)) <= set(re.findall(r"(--[\w-]+)\s*:", text))


def test_the_finder_gives_the_joined_sheet_and_nothing_else():
    assert Path(finders.find(NAME)).read_text() == join_sheets()
    assert "console/console.css" in {path for finder in finders.get_finders() for path, _ in finder.list([])}
    assert finders.find("console/tokens.css") is None


def test_a_changed_sheet_is_joined_again(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    finders.get_finder.cache_clear()
    try:
        served = Path(finders.find(NAME))
        served.write_text("of an older version")
        assert Path(finders.find(NAME)).read_text() == join_sheets()
    finally:
        finders.get_finder.cache_clear()

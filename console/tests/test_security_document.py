"""docs/security.md names the tests that hold its promises: they exist, and so do the places that it leads to."""

import re

from django.conf import settings

DOCS = settings.BASE_DIR / "docs"
TEXT = (DOCS / "security.md").read_text()


def anchors_of(text):
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_each_test_that_it_names_exists():
    named = set(re.findall(r"`(test_\w+\.py)`", TEXT))
    assert len(named) > 40
    known = {
        file.name
        for room in ("clusters", "triggers", "console", "tests")
        for file in (settings.BASE_DIR / room).rglob("test_*.py")
    }
    assert named - known == set()


def test_each_line_of_the_threat_model_names_a_test():
    rows = re.findall(r"^\| .+\|$", TEXT.partition("## Threat model")[2].partition("\n## ")[0], re.MULTILINE)[2:]
    without = [row for row in rows if "`test_" not in row]
    assert len(rows) > 20
    assert [row.split("|")[1].strip() for row in without] == ["root on the console's host, whoever writes to its database"]


def test_each_place_that_it_leads_to_exists():
    known = {
        name: anchors_of((DOCS / name).read_text()) for name in ("operate.md", "triggers.md", "architecture.md", "security.md")
    }
    links = [(name or "security.md", anchor) for name, anchor in re.findall(r"\]\(([\w.]*)#([\w-]+)\)", TEXT)]
    assert len(links) > 40
    assert [link for link in links if link[1] not in known[link[0]]] == []

import re
from html.parser import HTMLParser

import pytest
from django.conf import settings

from console.pages.help.documents import find_picture, make_slug, read_documents, render_document


class Reader(HTMLParser):
    """Collects tags, ids and links."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.attributes = set(), [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.add(tag)
        self.attributes |= found.keys()
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found] if tag == "a" else []


def read(body):
    return Reader(body)


def render(text, names=("triggers", "operate")):
    return render_document("triggers", text, names)


@pytest.fixture(scope="module")
def documents():
    return read_documents()


def test_the_documents_are_there_the_most_read_first(documents):
    assert list(documents)[:4] == ["triggers", "operate", "security", "architecture"]
    assert {path.stem for path in settings.DOCUMENTS.glob("*.md")} == documents.keys()
    for document in documents.values():
        assert document.title
        assert document.lead
        assert document.sections[0].level == 1


def test_every_link_within_the_documents_leads_to_a_heading(documents):
    for document in documents.values():
        own = read(document.body)
        assert len(own.ids) == len(set(own.ids))
        for link in own.links:
            address = link["href"]
            if address.startswith("http"):
                assert link["rel"] == "external noopener noreferrer", address
                continue
            match = re.fullmatch(r"(?:/help/([a-z-]+)/)?(?:#(.+))?", address)
            assert match, address
            page = documents[match[1]] if match[1] else document
            assert match[2] is None or match[2] in [section.anchor for section in page.sections], (document.name, address)


def test_every_picture_of_the_documents_is_there_in_light_and_dark(documents):
    pictures = set().union(*(document.pictures for document in documents.values()))
    assert pictures
    for name in pictures:
        assert find_picture(name)
        assert (settings.DOCUMENTS / "images" / f"{name.removesuffix('.png').removesuffix('-dark')}-dark.png").is_file()


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../triggers.md", "..\\triggers.md", "login.png", "/etc/passwd", "a\0.png"], ids=ascii
)
def test_no_other_file_is_found(name):
    assert find_picture(name) is None


def test_the_documents_bring_no_script_style_or_handler(documents):
    for document in documents.values():
        found = read(document.body)
        assert not found.tags & {"script", "style", "iframe", "object", "form", "link", "meta", "svg"}
        assert not [name for name in found.attributes if name.startswith("on") or name == "style"]


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a <b onclick=alert(1)>b</b>",
        '<picture onclick="x"><img src="https://evil.test/a.png"></picture>',
        '<img src="../../etc/passwd.png">',
        '<img src="images/../secret.png">',
        '<img src="images/a.svg">',
        '<picture><img src="images/a.png"><script>alert(1)</script></picture>',
    ],
)
def test_html_is_shown_as_text(text):
    found = read(render(f"# A\n\n{text}\n").body)
    assert found.tags <= {"p"}


def test_a_picture_is_shown_for_each_theme_with_nothing_but_its_words():
    text = """# A

<picture onclick="x">
  <source media="(prefers-color-scheme: dark)" srcset="images/a-dark.png">
  <img src="images/a.png" alt="An &quot;A&quot;" onerror="x">
</picture>
"""
    document = render(text)
    assert document.pictures == {"a.png", "a-dark.png"}
    assert document.body.count('alt="An &quot;A&quot;"') == 2
    assert read(document.body).attributes == {"class", "src", "alt", "loading"}


@pytest.mark.parametrize(
    ("link", "address"),
    [
        ("[x](operate.md#behind-a-proxy)", "/help/operate/#behind-a-proxy"),
        ("[x](operate.md)", "/help/operate/"),
        ("[x](#call-it)", "#call-it"),
        ("[x](https://example.com)", "https://example.com"),
        ("[x](../README.md)", None),
        ("[x](other.md)", None),
    ],
)
def test_links_lead_to_pages_of_the_console(link, address):
    (found,) = read(render(f"# A\n\nSee {link}.\n").body).links
    assert found.get("href") == address


def test_a_link_with_a_script_is_no_link():
    assert read(render("# A\n\n[x](javascript:alert(1))\n").body).links == []


def test_anchors_are_those_of_github():
    assert make_slug("`wait` and *step*: how, why?") == "wait-and-step-how-why"
    assert make_slug("Stop, start, restart, delete") == "stop-start-restart-delete"
    anchors = [section.anchor for section in render("# A\n\n## B c\n\n## B c\n\n### B c\n").sections]
    assert anchors == ["a", "b-c", "b-c-1", "b-c-2"]


def test_the_documents_own_list_of_contents_is_left_out():
    text = "# A\n\nWords.\n\n[B](#b) ·\n[C](#c)\n\n## Contents\n\n- [B](#b)\n\n## B\n\nMore.\n\n[C](#c) stays.\n\n## C\n"
    document = render(text)
    assert [section.heading for section in document.sections] == ["A", "B", "C"]
    assert document.body.count("<a ") == 1
    assert document.lead == "Words."

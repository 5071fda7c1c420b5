from console.pages.help.documents import read_documents, render_document
from console.pages.help.search import LIMIT, cut_excerpt, search_documents

TEXT = """# Links

About a lamp.

## A lamp

It shines.

## Shelf

A lamp stands here, and `code` too.

```sh
curl lamp
```
"""


def search(query):
    return [one.section.heading for one in search_documents([render_document("links", TEXT, ["links"])], query)]


def test_all_words_must_occur_and_headings_come_first():
    assert search("lamp") == ["A lamp", "Links", "Shelf"]
    assert search("LAMP code") == ["Shelf"]
    assert search("curl") == ["Shelf"]
    assert search("lamp missing") == []
    assert search("") == search("   ") == []


def test_the_address_of_a_section_has_its_anchor():
    found = search_documents([render_document("links", TEXT, ["links"])], "lamp")
    assert [one.address for one in found] == ["/help/links/#a-lamp", "/help/links/", "/help/links/#shelf"]


def test_no_more_than_the_limit_is_found():
    assert len(search_documents(read_documents().values(), "a")) == LIMIT


def test_an_excerpt_shows_the_word_as_it_is_written():
    before, word, after = cut_excerpt(f"{'x ' * 100}Lamp{' y' * 100}", ["lamp"])
    assert word == "Lamp"
    assert before.startswith("…")
    assert after.endswith("…")
    assert cut_excerpt("short", ["lamp"]) == ("", "", "short")

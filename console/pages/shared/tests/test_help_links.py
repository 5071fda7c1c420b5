from django.urls import get_resolver

from console.pages.help.documents import read_documents
from console.pages.shared.help_links import HELP, INDEX, find_help


def test_every_place_exists():
    documents = read_documents()
    for place in HELP.values():
        assert place.anchor in [section.anchor for section in documents[place.page].sections], place


def test_every_entry_is_a_page():
    assert HELP.keys() <= {pattern.name for pattern in get_resolver().url_patterns if getattr(pattern, "name", None)}


def test_a_page_without_an_entry_leads_to_the_index():
    assert find_help("overview") == find_help("") == INDEX
    assert INDEX.address == "/help/"

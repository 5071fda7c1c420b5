"""The search in the help: sections whose heading and text contain all words."""

from collections.abc import Iterable
from dataclasses import dataclass

from console.pages.help.documents import Document, Section

LIMIT = 30  # sections
WORDS = 8
AROUND = 90  # characters of an excerpt on each side of the word


@dataclass(frozen=True)
class Found:
    """A section that was found. The excerpt is `before`, the `word` as it is written there, and `after`."""

    document: Document
    section: Section
    before: str
    word: str
    after: str

    @property
    def address(self) -> str:
        return f"{self.document.address}#{self.section.anchor}" if self.section.level > 1 else self.document.address


def search_documents(documents: Iterable[Document], query: str) -> list[Found]:
    """Return at most LIMIT sections; first those that have all words in their heading, then those that have one there."""
    words = query.lower().split()[:WORDS]
    if not words:
        return []
    found = []
    for document in documents:
        for section in document.sections:
            heading, text = section.heading.lower(), section.text
            if all(word in heading or word in text.lower() for word in words):
                in_heading = sum(word in heading for word in words)
                rank = 0 if in_heading == len(words) else 1 if in_heading else 2
                found.append((rank, Found(document, section, *cut_excerpt(text, words))))
    return [one for _, one in sorted(found, key=lambda pair: pair[0])[:LIMIT]]


def cut_excerpt(text: str, words: Iterable[str]) -> tuple[str, str, str]:
    """Return what stands before the first of the words that occurs, the word, and what stands after it."""
    lower = text.lower()
    places = [(lower.index(word), len(word)) for word in words if word in lower]
    start, length = places[0] if places else (0, 0)
    before, after = text[max(start - AROUND, 0) : start], text[start + length : start + length + AROUND]
    more_before = "…" if start > AROUND else ""
    more_after = "…" if start + length + AROUND < len(text) else ""
    return more_before + before, text[start : start + length], after + more_after

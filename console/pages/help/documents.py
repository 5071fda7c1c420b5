"""The project's documents (docs/*.md) as pages of the console: rendered once per process, when somebody first opens the help.

Of HTML in a document only blocks of `<picture>` and `<img>` are understood; anything else is shown as text. So no document can
bring a script, and its pictures are those of its own folder.
"""

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings
from django.urls import get_script_prefix, reverse
from django.utils.safestring import SafeString, mark_safe

ORDER = ("triggers", "operate", "security", "architecture")  # what is read most comes first, others follow by name
PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp"}  # no SVG, since it can hold a script
CONTENTS = "contents"  # the section that the console's own list of contents replaces
PAGE_LINK = re.compile(r"([\w-]+)\.md(#.*)?")


@dataclass
class Section:
    """A heading of level 1 to 3 with the text below it. `anchor` is its id in the page, as GitHub makes it."""

    heading: str
    level: int
    anchor: str
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@dataclass(frozen=True)
class Document:
    """A page of the help. `body` is without its heading of level 1, which is the `title`."""

    name: str
    title: str
    lead: str
    body: SafeString
    sections: tuple[Section, ...]
    pictures: frozenset[str]

    @property
    def address(self) -> str:
        return reverse("help_page", args=[self.name])


def read_documents() -> dict[str, Document]:
    """Return the documents by name, in the order in which they are listed."""
    return _read_documents(settings.DOCUMENTS, get_script_prefix())


def find_picture(name: str) -> Path | None:
    """Return the file of a picture if a document shows it. No other name reaches the disk."""
    shown = any(name in document.pictures for document in read_documents().values())
    path = settings.DOCUMENTS / "images" / name
    return path if shown and path.is_file() else None


@lru_cache(maxsize=2)
def _read_documents(folder: Path, prefix: str) -> dict[str, Document]:
    """`prefix` is the path of the console, which stands in the addresses."""
    names = sorted((path.stem for path in folder.glob("*.md")), key=lambda name: (_rank(name), name))
    return {name: render_document(name, (folder / f"{name}.md").read_text(encoding="utf-8"), names) for name in names}


def _rank(name: str) -> int:
    return ORDER.index(name) if name in ORDER else len(ORDER)


def render_document(name: str, text: str, names: Iterable[str]) -> Document:
    """Render Markdown (CommonMark and tables). `names` are the documents that links can lead to."""
    from markdown_it import MarkdownIt  # here, since most processes never show the help

    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    tokens = _without_contents(parser.parse(text))
    sections, pictures = _mark_headings(tokens), set[str]()
    _mark_table_heads(tokens)
    for token in _walk(tokens):
        if token.type == "link_open":
            _lead_link(token, frozenset(names))
        elif token.type == "html_block":
            token.content = _render_html(token.content, pictures)
        elif token.type == "html_inline":
            token.content = html.escape(token.content)
        elif token.type == "table_open":
            token.type, token.meta = "html_block", {}
            token.content = '<div class="help-table" tabindex="0" role="group" aria-label="Table"><table class="table">'
        elif token.type == "table_close":
            token.type, token.content = "html_block", "</table></div>\n"
    parser.add_render_rule("fence", _render_code)
    parser.add_render_rule("code_block", _render_code)
    head = next((index + 3 for index, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h1"), 0)
    body = parser.renderer.render(tokens[head:], parser.options, {})
    title = sections[0].heading if sections else name
    lead = next((_read_text(token) for token in tokens[head:] if token.type == "inline"), "")  # the first paragraph
    safe = mark_safe(body)  # noqa: S308 - text is escaped by the renderer, HTML by _render_html
    return Document(name, title, lead, safe, tuple(sections), frozenset(pictures))


def _walk(tokens: Iterable[Any]) -> Iterable[Any]:
    for token in tokens:
        yield token
        yield from token.children or ()


def _without_contents(tokens: list[Any]) -> list[Any]:
    """Leave out a section named Contents, and what begins with a link within the page before the first section."""
    kept: list[Any] = []
    level, in_contents = 0, False
    for block in _split_blocks(tokens):
        first, words = block[0], next((token.content for token in block if token.type == "inline"), "")
        if first.type == "heading_open":
            level = int(first.tag[1])
            in_contents = level == 2 and words.lower() == CONTENTS
        listed = level == 1 and first.type != "heading_open" and words.startswith("[") and "](#" in words
        if not in_contents and not listed:
            kept += block
    return kept


def _split_blocks(tokens: list[Any]) -> Iterable[list[Any]]:
    """Yield the tokens of each block of the page: a heading, a paragraph, a list, a table and so on."""
    block: list[Any] = []
    depth = 0
    for token in tokens:
        block.append(token)
        depth += token.nesting
        if depth == 0:
            yield block
            block = []


def _mark_headings(tokens: list[Any]) -> list[Section]:
    """Give each heading an id, and return the sections. Equal headings get -1, -2 and so on."""
    sections: list[Section] = []
    taken: dict[str, int] = {}
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            heading = _read_text(tokens[index + 1])
            slug = make_slug(heading)
            number = taken.get(slug, 0)
            taken[slug] = number + 1
            anchor = f"{slug}-{number}" if number else slug
            token.attrSet("id", anchor)
            sections.append(Section(heading, int(token.tag[1]), anchor))
        elif sections and token.type in ("inline", "fence", "code_block"):
            is_heading = token.type == "inline" and tokens[index - 1].type == "heading_open"
            if not is_heading:
                sections[-1].texts.append(_read_text(token))
    return sections


def _mark_table_heads(tokens: list[Any]) -> None:
    """Say which cells are the heads of columns. An empty one is none."""
    for opening, content, closing in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if opening.type == "th_open" and content.content:
            opening.attrSet("scope", "col")
        elif opening.type == "th_open":
            opening.tag = closing.tag = "td"


def make_slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def _read_text(token: Any) -> str:
    """Return a token's text without markup."""
    if not token.children:
        return str(token.content)
    words = {"text": None, "code_inline": None, "softbreak": " ", "hardbreak": " "}
    return "".join(words[child.type] or child.content for child in token.children if child.type in words)


def _lead_link(token: Any, names: frozenset[str]) -> None:
    """Make a link lead to the page of the console that shows the document, and mark it where it leaves the console."""
    address = str(token.attrGet("href") or "")
    if address.startswith(("http://", "https://")):
        token.attrSet("rel", "external noopener noreferrer")
    elif (match := PAGE_LINK.fullmatch(address)) and match[1] in names:
        token.attrSet("href", reverse("help_page", args=[match[1]]) + (match[2] or ""))
    elif not address.startswith("#"):  # of the project's folder, which the console does not have
        token.attrs.pop("href", None)


def _render_code(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    return f'<pre tabindex="0"><code>{html.escape(tokens[index].content)}</code></pre>\n'


class _PictureReader(HTMLParser):
    """Reads `<picture>` with at most one `<source>` for dark, and `<img>`. `understood` is false if there was anything else."""

    def __init__(self) -> None:
        super().__init__()
        self.light = self.dark = self.words = ""
        self.understood = True

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "source" and "dark" in (found.get("media") or ""):
            self.dark = found.get("srcset") or ""
        elif tag == "img":
            self.light, self.words = found.get("src") or "", found.get("alt") or ""
        elif tag != "picture":
            self.understood = False

    def handle_endtag(self, tag: str) -> None:
        self.understood = self.understood and tag == "picture"

    def handle_data(self, data: str) -> None:
        self.understood = self.understood and not data.strip()


def _render_html(text: str, pictures: set[str]) -> str:
    """Return the picture that the HTML names, once for each theme, of which the style sheet shows one; or the HTML as text."""
    reader = _PictureReader()
    reader.feed(text)
    reader.close()
    names = [_name_picture(source) for source in (reader.light, reader.dark or reader.light)]
    if not reader.understood or not all(names):
        return html.escape(text)
    pictures.update(names)
    images = "".join(
        f'<img class="{css_class}" src="{html.escape(reverse("help_picture", args=[name]))}" '
        f'alt="{html.escape(reader.words)}" loading="lazy">'
        for css_class, name in zip(("when-light", "when-dark"), names, strict=True)
    )
    return f'<p class="help-picture">{images}</p>\n'


def _name_picture(source: str) -> str:
    """Return the name of a picture of docs/images; empty for any other address."""
    path = PurePosixPath(source)
    return path.name if path.parts == ("images", path.name) and path.suffix in PICTURES else ""

"""Reads the blocks of the docs, which tests run with the programs that they are for."""

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def read_blocks(page: str, language: str, *containing: str) -> list[str]:
    """Return the blocks of docs/`page` in this language that contain all of the words, in order, without indentation."""
    pattern = rf"^( *)```{re.escape(language)}\n(.*?)^\1```$"
    found = re.findall(pattern, (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    blocks = [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]
    return [block for block in blocks if all(words in block for words in containing)]


def read_block(page: str, language: str, *containing: str) -> str:
    """Return the one such block. Raises AssertionError if there is none, or more than one."""
    blocks = read_blocks(page, language, *containing)
    assert len(blocks) == 1, f"docs/{page} has {len(blocks)} blocks of {language} with {containing}"
    return blocks[0]


def replace_words(text: str, words: dict[str, str]) -> str:
    """Return the text with every key replaced by its value. Raises AssertionError for a key that does not occur."""
    for old, new in words.items():
        assert old in text, f"The block has no {old!r}:\n{text}"
        text = text.replace(old, new)
    return text

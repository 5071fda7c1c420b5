"""The words of the glossary in docs/architecture.md are used for what they mean there, and the words beside them are not."""

import re
from pathlib import Path

import pytest
from django.conf import settings

GLOSSARY = settings.BASE_DIR / "docs" / "architecture.md"
ENDINGS = {".html", ".js", ".md", ".py", ".sh", ".yaml"}
FOLDERS = ("bench", "clusters", "console", "docs", "scripts", "templates", "tests", "triggers")
OF_OTHERS = {"axe.min.js", "iframe-worker.js"}
# A proxy's own log of requests; and labels of a model, since a changed label would need a migration.
NOT_OURS = {
    ("access log", "docs/operate.md"),
    ("go back", "triggers/models/trigger.py"),
    ("goes back", "triggers/models/trigger.py"),
}


def read_glossary() -> dict[str, str]:
    """Each word that is not used, with the one to use instead. A row of the table: | say | means | not |."""
    rows = re.findall(r"^\| \*\*(.+)\*\* \|.*\| (.*) \|$", GLOSSARY.read_text(), re.MULTILINE)
    return {word: say for say, others in rows for word in re.findall(r"`([^`]+)`", others)}


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """Every file that a person reads, with line breaks and the marks of comments as one space."""
    paths = [path for folder in FOLDERS for path in (settings.BASE_DIR / folder).rglob("*") if path.suffix in ENDINGS]
    paths += [settings.BASE_DIR / "README.md", settings.BASE_DIR / "Makefile", settings.BASE_DIR / "compose.yaml"]
    own = {Path(__file__), GLOSSARY, *(path for path in paths if path.name in OF_OTHERS)}
    text = {
        str(path.relative_to(settings.BASE_DIR)): re.sub(r"\s*\n[\s#>]*", " ", path.read_text())
        for path in paths
        if path not in own and "migrations" not in path.parts
    }
    prose = re.sub(r"^\|.*\|$", "", GLOSSARY.read_text(), flags=re.MULTILINE)
    return text | {"docs/architecture.md": re.sub(r"\s+", " ", prose)}


def test_the_glossary_has_the_words_of_the_field():
    said = set(re.findall(r"\*\*(.+?)\*\*", "".join(re.findall(r"^\| (\*\*.+?) \|", GLOSSARY.read_text(), re.MULTILINE))))
    assert {"cluster", "application", "service", "trigger", "call", "healthy", "deliveries", "roll back"} <= said


@pytest.mark.parametrize("word", sorted(read_glossary()))
def test_a_word_that_the_glossary_replaces_is_used_nowhere(word, texts):
    pattern = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])", re.IGNORECASE)
    found = [
        f"{name}: …{text[max(match.start() - 50, 0) : match.end() + 40]}…"
        for name, text in texts.items()
        if (word, name) not in NOT_OURS
        for match in pattern.finditer(text)
    ]
    assert not found, f"Say “{read_glossary()[word]}” instead of “{word}”:\n" + "\n".join(found[:40])


def test_the_page_about_the_architecture_names_only_what_exists():
    named = set(re.findall(r"(?<![\w/])(?:clusters|console|triggers)/[\w/]*(?:\.py)?", GLOSSARY.read_text()))
    assert {path for path in named if not (settings.BASE_DIR / path).exists()} == set()

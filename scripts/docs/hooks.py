"""Hooks of MkDocs, named in mkdocs.yml: the first page of the site, and the script that lets its search run from a disk."""

import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
README = HERE.parents[1] / "README.md"
SCRIPT = "iframe-worker.js"
ELSEWHERE = re.compile(r"\[([^\]]+)\]\((?!docs/|https?:|#)[^)]*\)")  # a link to what the site does not have


def on_files(files: Any, config: Any) -> Any:
    """Add README.md as `index.md`, whose links to files outside of docs/ become plain text, and the script."""
    from mkdocs.structure.files import File

    text = ELSEWHERE.sub(r"\1", README.read_text(encoding="utf-8")).replace("docs/", "")
    files.append(File.generated(config, "index.md", content=text))
    files.append(File.generated(config, SCRIPT, content=(HERE / SCRIPT).read_text(encoding="utf-8")))
    return files

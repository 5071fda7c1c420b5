"""A malicious name, and parsers that check that a page shows it as plain text."""

from html.parser import HTMLParser

HOSTILE = "<img src=x onerror=alert(1)>'\"\u202egnp.exe{{7*7}}"


class TagCollector(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


class IsolationChecker(HTMLParser):
    """Collect text with a direction override outside a <bdi> or another isolating element."""

    VOID = {"meta", "link", "input", "br", "img"}
    ISOLATING = {"bdi", "option", "title", "pre", "textarea"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loose: list[tuple[list[str], str]] = []

    def handle_starttag(self, tag, attributes):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if "\u202e" in data and not self.ISOLATING & set(self.open):
            self.loose.append((self.open[-4:], data))

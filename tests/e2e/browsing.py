"""Visits of a browser: its complaints, the findings of axe-core, and what overflows a narrow screen."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.urls import resolve
from playwright.sync_api import Browser, BrowserContext, Page

from tests.e2e.chromium import DESKTOP, PHONE, is_complaint
from tests.e2e.site import Site

AXE_SCRIPT = (Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8")
# The levels of WCAG 2.2 AA, and axe-core's own advice. The themes differ only in colours.
RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
COLOUR_RULES = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
RUN_AXE = """async ([where, runOnly, rules]) => {
  const found = await axe.run(where || document, { runOnly, rules, resultTypes: ["violations"], elementRef: false });
  const explain = (node) => node.any.concat(node.all).map((check) => check.message).join("; ");
  return found.violations.flatMap(({ id, help, nodes }) => nodes.map((node) =>
    `${id}: ${help}\\n    ${node.html.slice(0, 300)}\\n    ${explain(node)}`));
}"""
# Each colour of text on the page, with what is behind it, its size and its weight: by these a contrast is judged.
FIND_COLOURS = """(where) => {
  const kept = new Map();
  const look = (element) => {
    if (!element) return "";
    if (!kept.has(element)) {
      const { backgroundColor, backgroundImage, opacity } = getComputedStyle(element);
      const above = backgroundColor.startsWith("rgb(") && opacity === "1" ? "" : look(element.parentElement);
      kept.set(element, `${backgroundColor} ${backgroundImage} ${opacity} ${above}`);
    }
    return kept.get(element);
  };
  const found = new Set();
  const top = where ? document.querySelector(where) : document.documentElement;
  const texts = document.createTreeWalker(top, NodeFilter.SHOW_TEXT);
  const holders = new Set(top.querySelectorAll("input, select, textarea"));
  while (texts.nextNode()) if (texts.currentNode.data.trim()) holders.add(texts.currentNode.parentElement);
  for (const holder of holders) {
    if (!holder.checkVisibility()) continue;
    const { color, fontSize, fontWeight } = getComputedStyle(holder);
    found.add(`${color} ${fontSize} ${fontWeight} on ${look(holder)}`);
  }
  return [...found];
}"""
STICKING_OUT = """() => {
  const room = window.innerWidth;
  if (document.scrollingElement.scrollWidth <= room) return [];
  const isCut = (element) => element && element !== document.body
    && (getComputedStyle(element).overflowX !== "visible" || isCut(element.parentElement));
  const wide = [...document.querySelectorAll("body *")].filter((element) =>
    element.getBoundingClientRect().right > room + 1 && !isCut(element.parentElement));
  return [`${document.scrollingElement.scrollWidth} px`, ...wide.slice(0, 3).map((element) => element.outerHTML.slice(0, 300))];
}"""
# Every name from others is in a <bdi>. However long it is, it can be broken, or an ancestor cuts it off.
UNBREAKABLE = """() => {
  const isCut = (element) => element && element !== document.body
    && (getComputedStyle(element).overflowX !== "visible" || isCut(element.parentElement));
  const names = [...document.querySelectorAll("bdi")].filter((element) => element.checkVisibility());
  const stiff = names.filter((element) => {
    const { overflowWrap, whiteSpace } = getComputedStyle(element);
    const breaks = overflowWrap === "anywhere" && !["nowrap", "pre"].includes(whiteSpace);
    return !breaks && !isCut(element.parentElement);
  });
  return [...new Set(stiff.map((element) => element.parentElement.outerHTML.slice(0, 160)))];
}"""
# The names in tables, lists and headings of which a part cannot be seen. What a call or a delivery says (`gist`) is prose.
CUT_NAMES = """() => {
  const hides = (element) => getComputedStyle(element).overflowX !== "visible" && element.scrollWidth > element.clientWidth + 1;
  const isCut = (element) => !element.matches("table, main") && (hides(element) || isCut(element.parentElement));
  const names = [...document.querySelectorAll("main table bdi, main .lines a.strong bdi, main .card strong bdi, main h1 bdi")];
  const seen = names.filter((name) => name.checkVisibility() && !name.closest(".gist, .visually-hidden"));
  const first = document.querySelector(".crumbs li:not(:only-child):first-child");
  const shown = first?.checkVisibility() && hides(first) ? [first] : [];
  const cut = [...seen.filter((name) => isCut(name.parentElement)), ...shown];
  return cut.map((name) => name.parentElement.outerHTML.slice(0, 200));
}"""
# Runs before any page's own scripts: what the policy refuses is kept for FIND_HARM.
WATCH = """
  window.refused = [];
  document.addEventListener("securitypolicyviolation", (event) => window.refused.push(
    `${event.effectiveDirective} refused ${event.blockedURI} ${event.sample}`));
"""
# A payload's script sets `pwned`. Text that changes its direction must be alone in its element.
FIND_HARM = """(ours) => {
  const found = [...window.refused];
  if ("pwned" in window) found.push(`ran ${window.pwned}`);
  const own = "[src^='/static/'], [src^='/help/images/']";
  for (const element of document.querySelectorAll(`img:not(${own}), iframe, object, embed, base, script:not([src])`))
    found.push(element.outerHTML.slice(0, 200));
  const isAddress = (name) => /href|src|action|^hx-(get|post)/.test(name);
  for (const element of document.querySelectorAll("*"))
    for (const { name, value } of element.attributes)
      if (/^on/.test(name) || ours && name === "style" || isAddress(name) && /^\\s*javascript:/i.test(value))
        found.push(`${name} in ${element.outerHTML.slice(0, 200)}`);
  const texts = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
  while (ours && texts.nextNode()) {
    const holder = texts.currentNode.parentElement;
    if (texts.currentNode.data.includes("\u202e") && !holder.closest("bdi, option, title, pre, textarea"))
      found.push(`not isolated: ${holder.outerHTML.slice(0, 200)}`);
  }
  return found;
}"""


class Visitor:
    """A reader's browser window on a site. `complaints` lists what the browser reported, with the page."""

    def __init__(self, site: Site, context: BrowserContext) -> None:
        self.site = site
        self.context = context
        self.complaints: list[str] = []
        self.dark_colours: set[str] = set()  # those in which axe-core found nothing wrong
        self.page: Page = context.new_page()
        self.page.set_default_timeout(15_000)
        self.page.on("console", lambda message: self._complain(message.text) if is_complaint(message) else None)
        self.page.on("pageerror", lambda error: self._complain(str(error)))
        self.page.on("dialog", lambda dialog: (self._complain(f"{dialog.type}: {dialog.message}"), dialog.dismiss()))

    def _complain(self, text: str) -> None:
        self.complaints.append(f"{self.page.url}: {text}")

    def check_complaints(self) -> None:
        complaints, self.complaints = self.complaints, []
        assert not complaints, "\n".join(complaints)

    def visit(self, path: str) -> Page:
        """Open the page and wait for what it loads at once."""
        self.page.goto(path)
        self.page.wait_for_function("() => !document.querySelector('[hx-trigger=load]')")
        return self.page

    def open_dialog(self, path: str) -> None:
        """Open the dialog at `path` over the current page."""
        self.page.evaluate("path => htmx.ajax('GET', path, '#dialog')", path)
        self.page.locator("#dialog[open]").wait_for()

    def find_tabs(self, name: str = "") -> list[str]:
        """Return the paths of the page's tabs, except the open one. With the page's URL `name`, those that are pages with
        another name are left out: they have their own turn."""
        links = self.page.locator("nav.tabs a:not([aria-current])")
        addresses = [str(link) for link in links.evaluate_all("links => links.map((link) => link.href)")]
        paths = [address.removeprefix(self.site.url) for address in addresses]
        return [path for path in paths if not name or resolve(urlsplit(path).path).url_name in {name, None}]

    def read_with_axe(self, where: str = "", rules: dict[str, Any] = RULES, colours: bool = True) -> list[str]:
        """Return axe-core's findings on the current page, or in the element that `where` selects."""
        options = {} if colours else {name: {"enabled": False} for name in COLOUR_RULES["values"]}
        found: list[str] = self.page.evaluate(RUN_AXE, [where, rules, options])
        return found

    def read_in_both_themes(self, where: str = "") -> list[str]:
        """Return the findings in light, and those about the colours in dark if any of these is new: the themes differ in
        nothing else."""
        self.page.emulate_media(color_scheme="light")
        found = [f"{self.page.url} (light) {line}" for line in self.read_with_axe(where)]
        self.page.emulate_media(color_scheme="dark")
        colours = set(self.page.evaluate(FIND_COLOURS, where))
        if colours - self.dark_colours:
            wrong = self.read_with_axe(where, COLOUR_RULES)
            found += [f"{self.page.url} (dark) {line}" for line in wrong]
            self.dark_colours |= set() if wrong else colours
        return found

    def measure_narrow(self) -> list[str]:
        """Return what makes the page scroll sideways on a phone, and what axe-core finds there, but for the colours."""
        self.page.set_viewport_size(PHONE)
        found = self.find_what_sticks_out() + self.find_cut_names()
        narrow = self.read_with_axe(colours=False)
        self.page.set_viewport_size(DESKTOP)
        return found + [f"{self.page.url} (390 px) {line}" for line in narrow]

    def find_what_sticks_out(self) -> list[str]:
        """Return what makes the page scroll sideways at its current width."""
        return [f"{self.page.url} sticks out: {line}" for line in self.page.evaluate(STICKING_OUT)]

    def find_unbreakable_names(self) -> list[str]:
        """Return the places where a long name could widen the page, whether or not it does at this width."""
        return [f"{self.page.url} cannot break or cut: {line}" for line in self.page.evaluate(UNBREAKABLE)]

    def find_cut_names(self) -> list[str]:
        """Return the names of which a part cannot be seen at the current width."""
        width = self.page.evaluate("window.innerWidth")
        return [f"{self.page.url} ({width} px) cuts the name: {line}" for line in self.page.evaluate(CUT_NAMES)]

    def find_harm(self, ours: bool = True) -> list[str]:
        """Return the harm that names from others did to the page. The context's script must be WATCH.

        `ours` means a page of our own templates, where nothing has a style and every name stands alone."""
        return [f"{self.page.url} {line}" for line in self.page.evaluate(FIND_HARM, ours)]


@contextmanager
def open_browser(browser: Browser, site: Site, reader: str = "", script: str = AXE_SCRIPT, **options: Any) -> Iterator[Visitor]:
    """Open a window, signed in as `reader` (one of tests.e2e.site.READERS) or signed out. Fails if the browser complained.

    One for many tests keeps what it has loaded; each should then end with `check_complaints`.

    `script` runs before each page's own scripts, through the debugger, which the page's policy does not block."""
    context = browser.new_context(base_url=site.url, **{"viewport": DESKTOP, "reduced_motion": "reduce"} | options)
    context.add_init_script(script)
    if reader:
        context.add_cookies(site.cookies(reader))
    visitor = Visitor(site, context)
    try:
        yield visitor
    finally:
        context.close()
    visitor.check_complaints()

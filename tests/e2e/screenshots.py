"""Pictures of every page into docs/images/, in light and dark and on a phone: `make screenshots`.

The console in them is thrown away at once, and no secret is revealed in it."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import BrowserContext, Page, Request, Response, Route, TimeoutError

from tests.e2e.chromium import DESKTOP, PHONE, run_chromium
from tests.harness.console import BASE_DIR, PASSWORD
from tests.harness.demo import Demo, run_demo

IMAGES = BASE_DIR / "docs" / "images"
TALLEST = 1200  # pixels
COLOURS = 192  # of a picture's palette: no eye sees the difference, and it is a third of the size


@dataclass(frozen=True)
class Picture:
    """`path` with the names of demo_rows.find_rows in braces; `act` leads to what the page alone does not show."""

    name: str
    path: str
    act: str = ""
    phone: bool = False


# A style sheet that did not load defines no token; an icon or a picture that did not load has no size.
FIND_MISSING = """async () => {
  await document.fonts.ready;
  const faults = [];
  const sheets = [...document.querySelectorAll("link[rel=stylesheet]")].filter((link) => !link.sheet);
  const token = getComputedStyle(document.documentElement).getPropertyValue("--surface");
  if (sheets.length || !token) faults.push("no style sheet");
  const icons = [...document.querySelectorAll("svg use")].filter((use) => use.checkVisibility());
  const lost = icons.filter((use) => !use.getBBox().width);
  if (lost.length) faults.push(`${lost.length} of ${icons.length} icons are missing`);
  const blank = [...document.images].filter((image) => image.checkVisibility() && !image.naturalWidth);
  if (blank.length) faults.push(`${blank.length} pictures are missing`);
  if (![...document.fonts].some((font) => font.family.includes("Inter") && font.status === "loaded")) faults.push("no font");
  return faults;
}"""
# What there is to see. A page that the console does not have is left out, and said at the end.
PICTURES = (
    Picture("login", "/login/"),
    Picture("overview", "/", phone=True),
    Picture("applications", "/applications/", phone=True),
    Picture("application", "/applications/{shop}/", phone=True),
    Picture("application-containers", "/applications/{shop}/?tab=containers"),
    Picture("application-logs", "/applications/{shop}/?tab=logs", phone=True),
    Picture("application-images", "/applications/{shop}/?tab=images"),
    Picture("application-configuration", "/applications/{shop}/?tab=configuration"),
    Picture("create-trigger", "/applications/{shop}/", "Create Trigger", phone=True),
    Picture("service", "/services/{api}/"),
    Picture("scale", "/services/{api}/", "Scale"),
    Picture("container", "/containers/{container}/", phone=True),
    Picture("stack", "/applications/{checkout}/?tab=tasks"),
    Picture("triggers", "/triggers/", phone=True),
    Picture("trigger", "/triggers/{trigger}/", phone=True),
    Picture("call-running", "/calls/{running}/"),
    Picture("call-succeeded", "/calls/{succeeded}/", phone=True),
    Picture("call-rolled-back", "/calls/{rolled_back}/"),
    Picture("call-failed", "/calls/{failed}/"),
    Picture("activity", "/activity/", phone=True),
    Picture("services", "/services/"),
    Picture("clusters", "/clusters/"),
    Picture("cluster", "/clusters/{cluster}/"),
    Picture("nodes", "/nodes/"),
    Picture("node", "/nodes/{node}/"),
    Picture("registries", "/registries/"),
    Picture("registry", "/registries/{registry}/", phone=True),
    Picture("deliveries", "/deliveries/", phone=True),
    Picture("delivery", "/deliveries/{delivery}/"),
    Picture("notifications", "/notifications/", phone=True),
    Picture("notifications-sent", "/notifications/sent/"),
    Picture("users", "/users/"),
    Picture("user", "/users/{user}/"),
    Picture("audit", "/audit/"),
    Picture("second-factor", "/account/second-factor/"),
    Picture("api-tokens", "/account/tokens/"),
    Picture("sessions", "/account/sessions/"),
    Picture("sign-in", "/sign-in/"),
    Picture("palette", "/", "Control+k"),
    Picture("images", "/images/?cluster={cluster}"),  # the last: the cluster stays selected
)


def main() -> None:
    wanted = set(sys.argv[1:])
    pictures = [picture for picture in PICTURES if not wanted or picture.name in wanted]
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, run_demo(Path(folder)) as demo, run_chromium() as browser:
        refused: list[str] = []
        rows = demo.fill_rows("find_rows()")
        context = browser.new_context(base_url=demo.console.url, viewport=DESKTOP, reduced_motion="reduce", locale="en-GB")
        hide_the_machine(context, demo)
        page = context.new_page()
        for picture in pictures:
            if picture.path == "/login/":
                refused += take_pictures(page, picture, rows)
        sign_in(page)
        for picture in pictures:
            if picture.path != "/login/":
                refused += take_pictures(page, picture, rows)
        context.unroute_all(behavior="ignoreErrors")  # a live page may just be asking for news
    if refused:
        sys.exit("\n".join(["These pictures were not taken:", *refused]))


def hide_the_machine(context: BrowserContext, demo: Demo) -> None:
    """Names and folders of the machine that takes the pictures are not the reader's concern."""
    folders = (demo.engine.folder, *(node.folder for node in demo.swarm.nodes))
    texts = {os.uname().nodename: "harbour-1", **{str(folder): "/var/run" for folder in folders}}
    texts[demo.registry.host] = "registry.example.com"

    def answer(route: Route) -> None:
        """Fetch from this process: the browser's own way to the console starts in a network that Playwright is not in."""
        wanted = route.request
        response = requests.request(
            wanted.method,
            wanted.url,
            headers=wanted.all_headers(),
            data=wanted.post_data_buffer,
            allow_redirects=False,
            timeout=60,
        )
        body = response.text
        for text, replacement in texts.items():
            body = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", replacement, body)
        headers: dict[str, str] = {}
        for name, value in response.raw.headers.items():  # one that comes twice (Set-Cookie) is joined by a line break
            if name.lower() not in {"content-length", "content-encoding", "transfer-encoding"}:
                headers[name] = f"{headers[name]}\n{value}" if name in headers else value
        route.fulfill(status=response.status_code, headers=headers, body=body)

    context.route(lambda url: "/static/" not in url, answer)


def sign_in(page: Page) -> None:
    page.goto("/login/")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("heading", name="Overview").wait_for()


def take_pictures(page: Page, picture: Picture, rows: dict[str, Any]) -> list[str]:
    """Return what is wrong with pages that were refused. A refused page leaves the picture that is there."""
    refused = []
    for file, theme, size in list_variants(picture):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        with watch_requests(page) as failures:
            response = page.goto(picture.path.format(**rows))
            if response is None or response.status != 200:
                return [f"{picture.name}: the console has no {picture.path}"]
            with suppress(TimeoutError):  # a page that follows something never rests
                page.wait_for_load_state("networkidle", timeout=3000)
            if picture.act:
                show(page, picture.act)
            height = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST)
            page.set_viewport_size({"width": size["width"], "height": max(height, size["height"])})
            if faults := [*failures, *page.evaluate(FIND_MISSING)]:
                refused.append(f"{file.name}: {'; '.join(faults)}")
                continue
            page.screenshot(path=file, scale="css", animations="disabled", caret="hide")
        shrink(file)
        print(file.relative_to(BASE_DIR), file.stat().st_size // 1024, "KB")
    return refused


@contextmanager
def watch_requests(page: Page) -> Iterator[list[str]]:
    """Collect the requests of the page that fail or are answered with an error."""
    failures: list[str] = []

    def note_failure(request: Request) -> None:
        if request.failure == "net::ERR_ABORTED" and request.resource_type in {"fetch", "xhr"}:
            return  # the page before this one was just asking for news
        failures.append(f"{request.url} failed: {request.failure}")

    def note_answer(response: Response) -> None:
        if response.status >= 400:
            failures.append(f"{response.url} was answered with {response.status}")

    page.on("requestfailed", note_failure)
    page.on("response", note_answer)
    try:
        yield failures
    finally:
        page.remove_listener("requestfailed", note_failure)
        page.remove_listener("response", note_answer)


def list_variants(picture: Picture) -> Iterator[tuple[Path, str, dict[str, int]]]:
    yield IMAGES / f"{picture.name}.png", "light", DESKTOP
    yield IMAGES / f"{picture.name}-dark.png", "dark", DESKTOP
    if picture.phone:
        yield IMAGES / f"{picture.name}-phone.png", "light", PHONE


def show(page: Page, act: str) -> None:
    """`act`: keys to press, or the link that opens a dialog."""
    if "+" in act:
        page.keyboard.press(act)
        page.keyboard.insert_text("shop")
        page.locator('#palette [data-query="shop"]').wait_for(state="attached")
    else:
        page.get_by_role("link", name=act, exact=True).first.click()
        page.locator("#dialog[open]").wait_for()
        page.wait_for_function("() => !document.querySelector('#dialog [hx-trigger=load]')")


def shrink(file: Path) -> None:
    """To a palette, where ImageMagick is installed."""
    if program := shutil.which("convert"):
        arguments = ["-strip", "-dither", "None", "-colors", str(COLOURS), "-define", "png:compression-level=9", f"PNG8:{file}"]
        subprocess.run([program, str(file), *arguments], check=True)


if __name__ == "__main__":
    main()

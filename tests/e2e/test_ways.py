"""Ways to use the console: by keyboard alone, without scripts, with fewer permissions, and signed out."""

import re
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, Error, Locator, Page, Response, expect

from clusters.roles import Role
from tests.e2e.browsing import Visitor, open_browser
from tests.e2e.site import PAGE_NAMES, PASSWORD, Site
from triggers.models import Trigger, TriggerCall

TABS_ENOUGH = 80  # presses of Tab in which everything on a page must come by


@pytest.fixture(scope="module")
def filled(site: Site) -> Site:
    site.fill()
    return site


@pytest.fixture
def visitor(chromium: Browser, filled: Site) -> Iterator[Visitor]:
    with open_browser(chromium, filled, Role.DEPLOYER) as visitor:
        yield visitor


def tab_to(page: Page, target: Locator) -> None:
    for _ in range(TABS_ENOUGH):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"Tab does not come to {target}")


def test_a_trigger_is_created_by_keyboard_alone(visitor: Visitor, filled: Site) -> None:
    fleet = filled.fleets[0]
    page = visitor.visit(fleet.pages["application"])
    opener = page.get_by_role("link", name="Create Trigger")
    dialog = page.get_by_role("dialog", name="Create Trigger")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, opener)
    page.keyboard.press("Enter")
    expect(dialog.get_by_label("Action")).to_be_focused()

    for _ in range(12):  # round and round; behind the last field comes the browser's own bar
        page.keyboard.press("Tab")
        assert page.evaluate("!document.activeElement.closest('.shell, .skip')")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()

    page.keyboard.press("Enter")
    action = dialog.get_by_label("Action")
    expect(action).to_be_focused()
    page.keyboard.type("Resource")  # chooses as a person does at a select
    expect(action).to_have_value("scaling")
    tab_to(page, dialog.get_by_text("More options"))
    page.keyboard.press("Enter")
    tab_to(page, dialog.get_by_label("Minimum"))
    page.keyboard.type("5")
    page.keyboard.press("Tab")
    page.keyboard.type("2")
    page.keyboard.press("Enter")
    wrong = dialog.locator("[aria-invalid=true]").first
    expect(wrong).to_be_focused()
    described = str(wrong.get_attribute("aria-describedby")).split()
    error = page.locator(f"#{wrong.get_attribute('id')}_error")
    expect(error).to_be_visible()
    assert str(error.get_attribute("id")) in described
    assert visitor.read_in_both_themes("#dialog") == []

    tab_to(page, dialog.get_by_label("Minimum"))
    page.keyboard.press("Control+a")
    page.keyboard.type("1")
    tab_to(page, dialog.get_by_role("button", name="Confirm"))
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator(".trigger-detail")).to_be_visible()
    expect(page.locator(".is-new a.strong")).to_be_focused()
    expect(page.locator("#announcer")).to_contain_text("was created. Copy how to call it now")
    assert visitor.read_in_both_themes() == []  # the new trigger with its ways to call it
    created = filled.do(lambda: Trigger.objects.latest("pk"))
    assert (created.action, created.min_replicas, created.max_replicas) == ("scaling", 1, 2)

    tab_to(page, page.get_by_label("type"))
    page.keyboard.type("scale_in")
    page.keyboard.press("Tab")
    page.keyboard.type("2")  # over what is selected
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    shown = page.locator("[data-way=curl] pre").filter(visible=True)
    expect(shown).to_contain_text(f"&secret={created.secret}&type=scale_in&step=2&wait=300'")
    expect(page.locator("[data-example]")).to_contain_text("removes 2 containers from")
    for locator in (page.get_by_role("button", name="Copy the curl line"), shown):
        assert "&type=scale_in&step=2&wait=300'" in str(locator.get_attribute("data-copy") or locator.text_content())


def read_body(page: Page, answer: Response) -> bytes:
    """Return a response's body, requested again if the browser dropped it because the page changed."""
    try:
        return answer.body()
    except Error:
        cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
        return requests.get(answer.url, headers={"HX-Request": "true"}, cookies=cookies, timeout=60).content


def search_for_secrets(visitor: Visitor, site: Site) -> tuple[list[str], int]:
    """Return where the browser received a secret, and how many responses were searched."""
    secrets = {secret.encode() for secret in site.secrets()}
    answers: list[Response] = []
    visitor.page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 # marks the function it is given
    fleet = site.fleets[0]
    queue = [fleet.pages[name] for name in PAGE_NAMES] + [f"{fleet.pages['application']}?trigger={fleet.trigger.pk}"]
    holding, searched = [], 0
    for path in queue:
        page = visitor.visit(path)
        queue += [tab for tab in visitor.find_tabs() if tab not in queue and "tab=" not in path]
        texts = [read_body(page, answer) for answer in answers if answer.status == 200 and "/static/" not in answer.url]
        holding += [path for secret in secrets if any(secret in text for text in (page.content().encode(), *texts))]
        searched += len(texts)
        answers.clear()
    return holding, searched


def test_readers_without_the_permission_get_no_secret(chromium: Browser, filled: Site) -> None:
    """Check as an Operator, who sees every page that a Viewer sees, and more."""
    with open_browser(chromium, filled, Role.OPERATOR, script="") as visitor:
        holding, searched = search_for_secrets(visitor, filled)
        visitor.complaints.clear()  # of the status where a page is refused
    assert holding == []
    assert searched > len(PAGE_NAMES) / 2


@pytest.fixture
def plain(chromium: Browser, filled: Site) -> Iterator[Page]:
    """A browser without scripts, signed out."""
    with open_browser(chromium, filled, script="", java_script_enabled=False) as visitor:
        yield visitor.page


def test_everything_that_matters_works_without_scripts(plain: Page, filled: Site) -> None:
    page, fleet = plain, filled.fleets[0]
    page.goto(fleet.pages["application"])
    page.get_by_label("User name").fill(Role.DEPLOYER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(fleet.application.name)

    page.get_by_role("link", name="Create Trigger").click()
    page.get_by_role("main").get_by_label("Action").select_option(label="Redeploy")
    page.get_by_text("More options").click()
    page.get_by_label("Name", exact=True).fill("made without scripts")
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("made without scripts").first).to_be_visible()
    secret = filled.do(lambda: Trigger.objects.get(name="made without scripts").secret)
    expect(page.get_by_text(secret).filter(visible=True).first).to_be_visible()

    page.get_by_role("link", name="Redeploy", exact=True).click()
    page.get_by_role("button", name="Redeploy").click()
    page.wait_for_url(re.compile(r"/calls/"))
    asked = filled.do(lambda: TriggerCall.objects.latest("queued_at"))
    assert (asked.source, asked.application_id) == ("console", fleet.application.pk)

    page.goto("/applications/")
    page.get_by_label("Cluster", exact=True).select_option(label=fleet.cluster.name)
    page.get_by_role("button", name="Show").click()
    shown = page.get_by_role("link", name=fleet.application.name, exact=True)
    expect(shown).to_be_visible()
    expect(page.get_by_role("link", name=filled.fleets[1].application.name, exact=True)).to_have_count(0)
    page.get_by_role("main").get_by_role("searchbox").fill("nothing of this name")
    page.get_by_role("main").get_by_role("button", name="Search").click()
    expect(shown).to_have_count(0)


@pytest.mark.parametrize("path", ["/login/", "/nothing/", "/applications/999999/", "/users/"])
def test_pages_outside_the_shell_are_accessible(chromium: Browser, filled: Site, path: str) -> None:
    reader = "" if path == "/login/" else Role.VIEWER
    with open_browser(chromium, filled, reader) as visitor:
        page = visitor.visit(path)
        assert visitor.read_in_both_themes() == []
        assert visitor.measure_narrow() == []
        if path == "/login/":
            page.get_by_label("User name").fill("nobody I know")
            page.get_by_label("Password").fill("wrong")
            page.get_by_role("button", name="Sign in", exact=True).click()
            expect(page.get_by_role("alert")).to_be_visible()
            assert visitor.read_in_both_themes() == []
        visitor.complaints.clear()  # of the status alone

"""Second factors in a real browser, with a virtual authenticator, on a real console that requires them of administrators."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from playwright.sync_api import Browser, Page, expect

from console.factors.tests.device import compute_code
from tests.e2e.browsing import AXE_SCRIPT, WATCH, Visitor
from tests.e2e.chromium import DESKTOP, PHONE, run_chromium
from tests.e2e.site import Site
from tests.harness.console import PASSWORD, RunningConsole, run_console

PAGE = "/account/second-factor/"
MAKE_USER = "from django.contrib.auth.models import User; User.objects.create_user('bob', password='{}')"
TABLET = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
TABLET |= {"isUserVerified": True, "automaticPresenceSimulation": True}


@pytest.fixture(scope="module")
def strict_console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    folder = tmp_path_factory.mktemp("console")
    with run_console(folder / "data", f"unix://{folder}/none.sock", WINDLASS_SECOND_FACTOR="administrators") as running:
        running.manage("shell", "-c", MAKE_USER.format(PASSWORD))
        yield running


@pytest.fixture
def own_browser() -> Iterator[Browser]:
    with run_chromium() as browser:
        yield browser


@pytest.fixture
def visitor(strict_console: RunningConsole, own_browser: Browser) -> Iterator[Visitor]:
    """A window that is signed out, at a host name: passkeys belong to none of an IP address."""
    url = strict_console.url.replace("127.0.0.1", "localhost")
    context = own_browser.new_context(base_url=url, viewport=DESKTOP, reduced_motion="reduce")
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
    context.add_init_script(AXE_SCRIPT + WATCH)
    visitor = Visitor(cast(Site, SimpleNamespace(url=url)), context)
    yield visitor
    visitor.check_complaints()


@pytest.fixture
def authenticator(visitor: Visitor) -> Any:
    """The CDP session of a virtual authenticator, and its id."""
    cdp = visitor.context.new_cdp_session(visitor.page)
    cdp.send("WebAuthn.enable")
    added = cdp.send("WebAuthn.addVirtualAuthenticator", {"options": TABLET})
    return cdp, added["authenticatorId"]


def look(visitor: Visitor, pictures: Path, name: str) -> None:
    """Check the page in both themes and on a phone, and keep pictures of it."""
    found = visitor.read_in_both_themes() + visitor.measure_narrow() + visitor.find_harm() + visitor.find_unbreakable_names()
    assert not found, "\n" + "\n".join(found)
    for theme in ("dark", "light"):
        visitor.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        visitor.page.screenshot(path=pictures / f"{name}-{theme}.png", full_page=True)
    visitor.page.set_viewport_size(PHONE)
    visitor.page.screenshot(path=pictures / f"{name}-phone.png", full_page=True)
    visitor.page.set_viewport_size(DESKTOP)


def enter_password(page: Page, name: str) -> None:
    page.goto("/login/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def sign_out(page: Page) -> None:
    page.context.clear_cookies()


def enter_code(page: Page, code: str) -> None:
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_whoever_must_have_a_second_factor_sets_one_up_and_signs_in_with_it(visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.page
    enter_password(page, "admin")
    expect(page.get_by_role("heading", name="Set up a second factor")).to_be_visible()
    look(visitor, tmp_path, "first")
    page.goto("/users/")
    expect(page).to_have_url(re.compile(f"{PAGE}$"))
    page.get_by_role("link", name="Use an authenticator app").click()
    look(visitor, tmp_path, "app-alone")
    secret = str(page.locator(".secret-text code").text_content()).replace(" ", "")
    page.get_by_label("six digits").fill("000")
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_text("The code is wrong.")).to_be_visible()
    look(visitor, tmp_path, "app-wrong")
    used = compute_code(secret)
    page.get_by_label("six digits").fill(used)
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
    look(visitor, tmp_path, "codes")
    codes = page.locator(".recovery-codes code").all_text_contents()
    assert len(codes) == 10
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert codes[9] in Path(download.value.path()).read_text()
    page.get_by_role("button", name="Copy the codes").click()
    assert codes[0] in page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("10 of 10 are left")).to_be_visible()
    look(visitor, tmp_path, "page-app")

    sign_out(page)
    enter_password(page, "admin")
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    look(visitor, tmp_path, "step-code")
    enter_code(page, used)
    expect(page.get_by_text("The code is wrong, or was used before.")).to_be_visible()
    look(visitor, tmp_path, "step-wrong")
    enter_code(page, compute_code(secret, 1))  # the next one: it is valid already, and for 30 s at least
    expect(page).to_have_url(re.compile(r"\d/$"))
    page.goto("/users/")
    expect(page.get_by_role("cell", name="authenticator app")).to_be_visible()
    look(visitor, tmp_path, "users")

    sign_out(page)
    enter_password(page, "admin")
    enter_code(page, codes[4])
    expect(page).to_have_url(re.compile(r"\d/$"))
    page.goto(PAGE)
    expect(page.get_by_text("9 of 10 are left")).to_be_visible()
    page.get_by_role("link", name="Remove").click()
    expect(page.get_by_text("this console requires one of you")).to_be_visible()
    look(visitor, tmp_path, "remove-required")


def test_a_passkey_is_added_signs_in_alone_and_as_a_second_factor_and_is_removed(
    visitor: Visitor, authenticator: Any, tmp_path: Path
) -> None:
    page = visitor.page
    cdp, name = authenticator
    enter_password(page, "bob")
    page.goto(PAGE)
    expect(page.locator("#content .note")).to_contain_text("Your password alone signs you in.")
    look(visitor, tmp_path, "page-none")
    page.get_by_role("link", name="Add passkey").click()
    look(visitor, tmp_path, "passkey-add")
    page.locator("#content").get_by_label("Name").fill("Tablet")
    page.get_by_role("button", name="Add passkey").click()
    expect(page.get_by_text("The passkey Tablet was added.")).to_be_visible()
    assert len(cdp.send("WebAuthn.getCredentials", {"authenticatorId": name})["credentials"]) == 1
    page.goto(f"{PAGE}passkeys/new/")
    page.locator("#content").get_by_label("Name").fill("Tablet again")
    page.get_by_role("button", name="Add passkey").click()
    expect(page.get_by_text("There is a passkey of yours for this console already.")).to_be_visible()

    sign_out(page)
    page.goto("/login/?next=/triggers/")
    look(visitor, tmp_path, "login")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page).to_have_url(re.compile(r"\d/triggers/$"))

    sign_out(page)
    enter_password(page, "bob")
    look(visitor, tmp_path, "step-passkey")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page).to_have_url(re.compile(r"\d/$"))

    page.goto(PAGE)
    expect(page.locator(".passkeys li")).to_contain_text("last used")
    look(visitor, tmp_path, "page-passkey")
    page.goto(f"{PAGE}confirm/")
    look(visitor, tmp_path, "confirm")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page).to_have_url(re.compile(f"{PAGE}$"))
    page.get_by_role("link", name="Rename Tablet").click()
    look(visitor, tmp_path, "rename")
    page.get_by_role("dialog").get_by_label("Name").fill("Kitchen tablet")
    page.get_by_role("dialog").get_by_role("button", name="Rename").click()
    expect(page.locator(".passkeys li")).to_contain_text("Kitchen tablet")
    page.get_by_role("link", name="Remove Kitchen tablet").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.locator("#content .note")).to_contain_text("Your password alone signs you in.")

    sign_out(page)
    page.goto("/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("The passkey is not known here")).to_be_visible()
    look(visitor, tmp_path, "passkey-unknown")
    forgive(visitor, 403)


def test_a_passkey_that_does_not_verify_its_user_is_not_used(visitor: Visitor, authenticator: Any) -> None:
    page = visitor.page
    cdp, name = authenticator
    enter_password(page, "bob")
    cdp.send("WebAuthn.setUserVerified", {"authenticatorId": name, "isUserVerified": False})
    page.goto(f"{PAGE}passkeys/new/")
    page.locator("#content").get_by_label("Name").fill("Tablet")
    page.get_by_role("button", name="Add passkey").click()
    expect(page.get_by_text("No passkey was used. Try again.")).to_be_visible()
    page.goto(PAGE)
    expect(page.locator("#content .note")).to_contain_text("Your password alone signs you in.")


def test_at_an_ip_address_the_page_says_why_there_are_no_passkeys(
    visitor: Visitor, authenticator: Any, strict_console: RunningConsole
) -> None:
    page = visitor.page
    page.goto(f"{strict_console.url}/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("Passkeys do not work at this address.")).to_be_visible()


def forgive(visitor: Visitor, status: int) -> None:
    """Forget that the browser reported a page with this status, which was expected."""
    visitor.complaints = [text for text in visitor.complaints if f"status of {status}" not in text]

"""Signing in and being kept from it, in a browser: a lock, a link, and the list of sessions."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from console.sign_in_links import make_token
from console.sign_in_locks import FAILURES_OF_NAME
from tests.e2e.browsing import Visitor, open_browser
from tests.e2e.site import PASSWORD, Site

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Safari/604.1"


@pytest.fixture
def stranger(chromium: Browser, site: Site) -> Iterator[Visitor]:
    with open_browser(chromium, site) as visitor:
        yield visitor


@pytest.fixture
def deployer(chromium: Browser, site: Site) -> Iterator[Visitor]:
    with open_browser(chromium, site, "deployer") as visitor:
        yield visitor


def sign_in(page: Page, name: str, password: str) -> None:
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def check(visitor: Visitor) -> None:
    found = visitor.read_in_both_themes() + visitor.measure_narrow()
    assert not found, "\n".join(found)


def test_a_lock_says_until_when_and_an_administrator_ends_it(stranger: Visitor, chromium: Browser, site: Site) -> None:
    page = stranger.visit("/login/")
    for number in range(FAILURES_OF_NAME):
        sign_in(page, "viewer", f"wrong {number}")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Too many sign-ins with this user name from your address have failed.")
    expect(alert).to_contain_text("UTC, in 14 min")
    stranger.complaints.clear()  # the browser reports each 429
    check(stranger)
    with open_browser(chromium, site, "administrator") as visitor:
        users = visitor.visit("/users/")
        check(visitor)
        users.get_by_role("button", name="Unlock viewer from 127.0.0.1").click()
        expect(users.get_by_text("Unlocked: viewer from 127.0.0.1.")).to_be_visible()
    sign_in(page, "viewer", PASSWORD)
    page.wait_for_url(f"{site.url}/")


def test_a_link_signs_in_once(stranger: Visitor, site: Site) -> None:
    token = site.do(lambda: make_token(User.objects.get(username="operator")))
    page = stranger.visit(f"/login/link/?token={token}")
    check(stranger)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{site.url}/")
    expect(page.get_by_role("button", name="Account: operator")).to_be_visible()
    stranger.visit(f"/login/link/?token={token}")
    stranger.complaints.clear()  # the browser reports the 403
    expect(page.get_by_role("heading", name="This link signs nobody in")).to_be_visible()
    check(stranger)


def test_sessions_are_listed_and_ended(deployer: Visitor, site: Site) -> None:
    def sign_in_elsewhere(address: str) -> Client:
        client = Client(HTTP_USER_AGENT=IPHONE, REMOTE_ADDR=address)
        client.post("/login/", {"username": "deployer", "password": PASSWORD})
        return client

    clients = site.do(lambda: [sign_in_elsewhere("2001:db8::9"), sign_in_elsewhere("203.0.113.20")])
    page = deployer.visit("/password/")
    page.get_by_role("link", name="Sessions").click()
    expect(page.get_by_role("row", name="Safari on an iPhone")).to_have_count(2)
    check(deployer)
    page.get_by_role("button", name="End the session of Safari on an iPhone from 2001:db8::9").click()
    expect(page.get_by_text("The session of Safari on an iPhone has ended.")).to_be_visible()
    statuses = site.do(lambda: [client.get("/calls/running/").status_code for client in clients])
    assert statuses == [302, 200]
    page.get_by_role("button", name="End all others").click()
    expect(page.get_by_text("You are signed in here alone.")).to_be_visible()
    expect(page.get_by_role("button", name="End all others")).to_have_count(0)
    assert site.do(lambda: clients[1].get("/calls/running/").status_code) == 302

"""Every page, tab and dialog: axe-core finds nothing in light or dark, and nothing is wider than a phone."""

import re
from collections.abc import Iterator

import pytest
from django.apps import apps
from django.urls import reverse
from playwright.sync_api import Browser, expect

from clusters.tests.factories import ServiceFactory
from tests.e2e.browsing import AXE_SCRIPT, Visitor, open_browser
from tests.e2e.chromium import DESKTOP, PHONE
from tests.e2e.site import NOBODY, PAGE_NAMES, Site

# A dialog has the same content as a page of its own, so these stand for all.
DIALOGS = ("trigger_create", "application_act", "image_prune")
# Pages that look alike on a plain engine and on a Swarm, by how their names begin.
ALIKE = ("user", "token", "provider", "registry", "delivery", "passkey", "factor", "trusted_job", "trigger_rotate")
ALIKE += ("channel", "notification")
EMPTY = ("/", "/search/", "/applications/", "/services/", "/clusters/", "/nodes/", "/triggers/", "/activity/", "/users/")
EMPTY += ("/registries/", "/deliveries/", "/notifications/", "/notifications/sent/")


@pytest.fixture(scope="module")
def filled(site: Site) -> Site:
    site.fill()
    return site


@pytest.fixture(scope="module")
def window(chromium: Browser, site: Site) -> Iterator[Visitor]:
    with open_browser(chromium, site, "admin") as visitor:
        yield visitor


@pytest.fixture
def visitor(window: Visitor) -> Iterator[Visitor]:
    yield window
    window.check_complaints()


def report(found: list[str]) -> None:
    assert not found, "\n" + "\n".join(found)


def read_page(visitor: Visitor, path: str, dark: bool = True) -> list[str]:
    """Return everything that is wrong at `path`, on a wide and a narrow screen."""
    page = visitor.visit(path)
    found = visitor.read_in_both_themes() if dark else visitor.read_with_axe()
    found += visitor.find_cut_names() + visitor.measure_narrow()
    if page.evaluate("() => document.getAnimations().some((animation) => animation.playState === 'running')"):
        found.append(f"{path} moves, although the reader asked for less motion")
    return found


def read_dialog(visitor: Visitor, path: str) -> list[str]:
    visitor.visit("/nodes/")  # a small page
    visitor.open_dialog(path)
    return visitor.read_with_axe("#dialog")


@pytest.mark.parametrize("path", EMPTY)  # first in this module: before anything is there
def test_the_empty_console_is_accessible(visitor: Visitor, path: str) -> None:
    report(read_page(visitor, path))


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_a_page_is_accessible(visitor: Visitor, filled: Site, name: str) -> None:
    found = []
    paths = filled.list_paths(name, ALIKE)
    for path in paths:
        dark = path == paths[0]  # a Swarm's page has the colours and most tabs of a plain engine's
        found += read_page(visitor, path, dark)
        tabs = visitor.find_tabs(name)
        if name in DIALOGS:
            found += read_dialog(visitor, path)
        for tab in tabs if dark else [tab for tab in tabs if "tasks" in tab]:
            found += read_page(visitor, tab, dark)
    report(found)


@pytest.mark.parametrize("path", ["/", "/applications/", "/password/"])
def test_a_page_is_accessible_without_a_role(chromium: Browser, filled: Site, path: str) -> None:
    with open_browser(chromium, filled, NOBODY) as visitor:
        report(read_page(visitor, path))


# Of the admin the pages that differ: its other lists and forms are made of the same parts.
ADMIN_MODELS = ("auth.group", "auth.user", "clusters.auditentry", "clusters.cluster", "clusters.registry", "triggers.delivery")
ADMIN_MODELS += ("triggers.trigger", "triggers.triggercall")
ADMIN_FORMS = ("triggers_trigger_add", "auth_user_add", "auth_user_password_change", "triggers_trigger_delete")
ADMIN_FORMS += ("triggers_trigger_history", "index")


@pytest.mark.parametrize("label", ADMIN_MODELS)
def test_a_list_and_a_form_of_the_admin_are_accessible(visitor: Visitor, filled: Site, label: str) -> None:
    model = apps.get_model(label)
    name, row = f"admin:{label.replace('.', '_')}", filled.do(lambda: model.objects.order_by("pk").last())
    found = read_page(visitor, reverse(f"{name}_changelist"))
    report(found + read_page(visitor, reverse(f"{name}_change", args=[row.pk])))


@pytest.mark.parametrize("name", ADMIN_FORMS)
def test_a_further_page_of_the_admin_is_accessible(visitor: Visitor, filled: Site, name: str) -> None:
    rows = {"auth_user_password_change": filled.fleets[0].user, "triggers_trigger": filled.fleets[0].trigger}
    row = next((row for begin, row in rows.items() if name.startswith(begin) and not name.endswith("_add")), None)
    report(read_page(visitor, reverse(f"admin:{name}", args=[row.pk] if row else [])))


SHELL = (".navigation", "main", "#cluster-selector", ".navigation ul", ".topbar", ".crumbs", ".user-button")
MEASURE_SHELL = """selectors => selectors.map((selector) => {
  const element = document.querySelector(selector);
  const { left, top } = element.getBoundingClientRect();
  const { fontSize, lineHeight, fontFamily, color } = getComputedStyle(element);
  return [selector, left, top, fontSize, lineHeight, fontFamily, color].join(" ");
})"""


@pytest.mark.parametrize("width", ["desktop", "phone"])
def test_the_admin_does_not_move_the_shell(visitor: Visitor, filled: Site, width: str) -> None:
    visitor.page.set_viewport_size(DESKTOP if width == "desktop" else PHONE)
    # On a phone buttons stand below the heading, so its line is lower where there are any.
    parts = [*SHELL, "h1"] if width == "desktop" else list(SHELL)
    trigger = filled.fleets[0].trigger
    paths = (
        "/",
        "/admin/",
        reverse("admin:triggers_trigger_changelist"),
        reverse("admin:triggers_trigger_change", args=[trigger.pk]),
    )
    usual, *others = [visitor.visit(path).evaluate(MEASURE_SHELL, parts) for path in paths]
    visitor.page.set_viewport_size(DESKTOP)
    assert others == [usual] * len(others)


def test_a_page_that_does_not_exist_is_accessible(visitor: Visitor, chromium: Browser, filled: Site) -> None:
    report(read_page(visitor, "/nothing/"))
    visitor.complaints.clear()  # the browser reports the status
    with open_browser(chromium, filled) as stranger:
        report(read_page(stranger, "/nothing/"))
        stranger.complaints.clear()


def test_the_rules_are_those_of_today() -> None:
    version = re.search(r"axe v(\d+)\.(\d+)", AXE_SCRIPT[:100])
    assert version
    assert (int(version[1]), int(version[2])) >= (4, 14)


FOCUSED = "() => document.activeElement.name || document.activeElement.textContent.trim()"


def test_the_boxes_of_create_trigger_are_reached_by_keyboard_in_their_order(visitor: Visitor, filled: Site) -> None:
    application, image = filled.fleets[0].application, "registry.example.com/team/api"
    filled.do(lambda: ServiceFactory(application=application, name="api", image=f"{image}:1"))
    page = visitor.visit(f"/applications/{application.pk}/")
    page.get_by_role("link", name="Create Trigger").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Create Trigger")
    box = dialog.get_by_label(image)
    expect(box).to_be_enabled()
    expect(dialog.get_by_label("docker.io/library/shop")).to_be_disabled()
    expect(dialog.get_by_label("Action")).to_be_focused()
    box.focus()
    page.keyboard.press("Space")
    dialog.get_by_label("Action").focus()
    prefix = str(box.get_attribute("name")).removesuffix("associated")
    wanted = [f"{prefix}associated", f"{prefix}condition", "The registry cannot reach this console", "More options"]
    passed: list[str] = []
    while "Confirm" not in passed and len(passed) < 20:
        page.keyboard.press("Tab")
        passed.append(page.evaluate(FOCUSED))
    assert [name for name in passed if name in wanted] == wanted
    report(visitor.read_in_both_themes("#dialog") + visitor.find_what_sticks_out())


def test_a_token_that_is_shown_once_is_accessible(visitor: Visitor, filled: Site) -> None:
    visitor.context.add_cookies(filled.cookies("admin"))  # who they are was confirmed when the module began
    page = visitor.visit("/account/tokens/")
    page.get_by_role("link", name="New token").click()
    dialog = page.get_by_role("dialog", name="New API token")
    dialog.get_by_label("Name").fill("pipeline of the night shift")
    dialog.get_by_label("Name").press("Enter")
    expect(page.get_by_role("dialog", name="API token").get_by_text("wl_").first).to_be_visible()
    report(visitor.read_in_both_themes("#dialog") + visitor.find_what_sticks_out())
    page.set_viewport_size(PHONE)
    report(visitor.find_what_sticks_out())
    page.set_viewport_size(DESKTOP)

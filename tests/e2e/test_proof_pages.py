"""Signed calls and trusted jobs on a trigger's page: chosen in dialogs, by phone and by desk, and axe-core finds nothing."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from clusters.tests.factories import ApplicationFactory
from tests.e2e.browsing import Visitor, open_browser
from tests.e2e.site import Site
from triggers.models import Trigger
from triggers.tests.factories import TriggerCallFactory, TriggerFactory

IDENTITY = {
    "job": "Deploy of shop",
    "issuer": "https://token.actions.githubusercontent.com",
    "repository": "team/shop",
    "ref": "refs/heads/main",
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "run": "4711",
    "actor": "ann",
    "run_url": "https://github.com/team/shop/actions/runs/4711",
}


def make_trigger() -> Trigger:
    trigger: Trigger = TriggerFactory(application=ApplicationFactory(name="shop"), name="Builds")
    TriggerCallFactory(trigger=trigger, proof="identity", identity=IDENTITY, state="succeeded")
    return trigger


@pytest.fixture
def trigger(site: Site) -> Iterator[Trigger]:
    made: Trigger = site.do(make_trigger)
    yield made
    site.do(made.application.cluster.delete)


@pytest.fixture
def visitor(chromium: Browser, site: Site) -> Iterator[Visitor]:
    with open_browser(chromium, site, "admin") as opened:
        yield opened
        opened.check_complaints()


def test_build_jobs_are_trusted_from_the_page(visitor: Visitor, trigger: Trigger) -> None:
    page = visitor.visit(f"/triggers/{trigger.pk}/")
    page.get_by_role("link", name="Trust build jobs").click()
    dialog = page.get_by_role("dialog", name="Trust build jobs")
    dialog.get_by_label("Name", exact=False).first.fill("Deploy of shop")
    dialog.get_by_label("Name or expression").fill("team/shop")
    dialog.get_by_label("Ref or expression").fill("main")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_contain_text("Write refs/heads/main for a branch")
    assert visitor.read_in_both_themes("#dialog") == []
    dialog.get_by_label("Ref or expression").fill("refs/heads/.*")
    dialog.get_by_role("combobox", name="Ref").select_option("pattern")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").first).to_contain_text("without a secret")
    expect(page.get_by_text("whoever pushes a branch").last).to_be_visible()
    page = visitor.visit(f"/triggers/{trigger.pk}/")
    page.get_by_text("How such a job calls it").click()
    expect(page.get_by_label("How a job of Deploy of shop calls the link")).to_contain_text("id-token: write")
    assert visitor.read_in_both_themes("main") == []

    page.get_by_role("link", name="Remove the trusted jobs Deploy of shop").click()
    dialog = page.get_by_role("dialog", name="Stop trusting these jobs")
    assert visitor.read_in_both_themes("#dialog") == []
    dialog.get_by_role("button", name="Stop trusting them").click()
    expect(page.get_by_text("Jobs of Deploy of shop can no longer call")).to_be_visible()


def test_calls_are_signed_from_then_on(visitor: Visitor, trigger: Trigger) -> None:
    page = visitor.visit(f"/triggers/{trigger.pk}/")
    page.get_by_role("link", name="Change signed calls").click()
    dialog = page.get_by_role("dialog", name="Signed calls")
    assert visitor.read_in_both_themes("#dialog") == []
    dialog.get_by_label("Signed calls").select_option("instead")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Key", exact=True)).to_contain_text("whsec_")
    page.wait_for_load_state()
    assert visitor.read_in_both_themes("main") == []
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_text("The link holds no secret and may stand in a repository")).to_be_visible()
    page.wait_for_load_state()
    assert visitor.read_in_both_themes("main") == []


def test_a_call_shows_the_job_that_made_it(visitor: Visitor, trigger: Trigger) -> None:
    call = visitor.site.do(lambda: trigger.calls.get().pk)
    page = visitor.visit(f"/calls/{call}/")
    expect(page.get_by_role("link", name="4711")).to_have_attribute("href", IDENTITY["run_url"])
    assert visitor.read_in_both_themes("main") == []


@pytest.mark.parametrize("place", ["", "jobs/new/", "signature/"])
def test_on_a_phone_nothing_sticks_out(visitor: Visitor, trigger: Trigger, place: str) -> None:
    visitor.visit(f"/triggers/{trigger.pk}/{place}")
    assert visitor.measure_narrow() == []

"""A trigger's own page: what narrows its link is chosen, its callers are allowed, and its old secret ends. axe-core finds
nothing with everything on it."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, expect

from clusters.tests.factories import ApplicationFactory
from tests.e2e.browsing import Visitor, open_browser
from tests.e2e.site import Site
from triggers.models import Decision, Delivery, Trigger
from triggers.tests.factories import DeliveryFactory, TriggerCallFactory, TriggerFactory


def make_trigger() -> Trigger:
    """Return a trigger that was called from two addresses, with an old secret and two refused calls."""
    trigger: Trigger = TriggerFactory(application=ApplicationFactory(name="shop"), name="Jenkins")
    trigger.rotate_secret(timedelta(hours=24))
    now = timezone.now()
    Trigger.objects.filter(pk=trigger.pk).update(old_secret_used_at=now, old_secret_used_from="192.0.2.8")
    for number, address in enumerate(("192.0.2.7", "192.0.2.7", "192.0.2.8")):
        moment = now - timedelta(minutes=number)
        TriggerCallFactory(trigger=trigger, source_address=address, proof="secret", state="succeeded", queued_at=moment)
    refused = {"trigger": trigger, "registry": None, "decision": Decision.REFUSED, "source": Delivery.Source.TRIGGER}
    DeliveryFactory(**refused, message="Nothing was done: the call comes from 192.0.2.9.", event="GET 403", repeated=11)
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


def test_the_link_is_narrowed_from_its_page(visitor: Visitor, trigger: Trigger) -> None:
    page = visitor.visit(f"/triggers/{trigger.pk}/")
    expect(page.get_by_text("12", exact=True)).to_be_visible()  # refused today
    page.get_by_role("button", name="Allow 192.0.2.7").click()
    expect(page.get_by_role("status")).to_contain_text(["192.0.2.7 can call the link of Jenkins"])
    page.get_by_role("link", name="Change what narrows it").click()
    dialog = page.get_by_role("dialog", name="Narrow the link")
    expect(dialog.get_by_label("Allowed addresses")).to_have_value("192.0.2.7")
    dialog.get_by_role("button", name="Allow 192.0.2.8").click()
    expect(dialog.get_by_label("Allowed addresses")).to_have_value("192.0.2.7\n192.0.2.8")
    dialog.get_by_label("Allowed addresses").fill("192.0.2.7\nnowhere")
    dialog.get_by_label("Number of calls").fill("1")
    dialog.get_by_label("Secret in a header only").check()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_contain_text("'nowhere' is neither an address nor a network")
    dialog.get_by_label("Allowed addresses").fill("192.0.2.0/24 ::ffff:198.51.100.1")
    dialog.get_by_label("Number of calls").press("Enter")
    expect(dialog).to_be_hidden()
    facts = page.get_by_role("region", name="What narrows the link")
    for words in ("192.0.2.0/24, 198.51.100.1", "1 is left", "in a header only"):
        expect(facts).to_contain_text(re.compile(re.escape(words).replace(r"\ ", r"\s*")))
    expect(page.get_by_role("tab", name="Grafana")).to_have_count(0)


def test_an_old_secret_is_seen_and_ended(visitor: Visitor, trigger: Trigger) -> None:
    page = visitor.visit(f"/triggers/{trigger.pk}/")
    old = page.get_by_role("region", name="Old secret")
    expect(old).to_contain_text("from 192.0.2.8")
    page.get_by_role("link", name="Rotate secret").click()
    dialog = page.get_by_role("dialog", name="Rotate secret")
    expect(dialog.get_by_label("The old secret works for")).to_have_value("24")
    dialog.get_by_role("button", name="Rotate secret").click()
    expect(dialog).to_contain_text("Agree to this, or wait until the earlier secret has ended.")
    dialog.get_by_role("link", name="Cancel").click()
    old.get_by_role("button", name="End now").click()
    expect(page.get_by_role("status")).to_contain_text(["The old secret of Jenkins no longer works."])
    expect(old).to_have_count(0)


def test_a_page_with_everything_on_it_is_accessible(visitor: Visitor, trigger: Trigger, site: Site) -> None:
    over = {"allowed_addresses": "192.0.2.7", "calls_left": 0, "expires_at": timezone.now() + timedelta(days=2)}
    site.do(lambda: Trigger.objects.filter(pk=trigger.pk).update(**over))
    visitor.visit(f"/triggers/{trigger.pk}/")
    found = visitor.read_in_both_themes() + visitor.measure_narrow()
    visitor.visit("/nodes/")
    for dialog in ("narrow", "rotate"):
        visitor.open_dialog(f"/triggers/{trigger.pk}/{dialog}/")
        found += visitor.read_with_axe("#dialog")
    assert not found, "\n".join(found)

"""A browser that opens a link shows a page and calls nothing. Every other client calls."""

import pytest

from clusters.models import Registry
from triggers.models import Delivery, TriggerCall
from triggers.tests.calling import PATH, link_parameters
from triggers.tests.factories import ScalingTriggerFactory, TriggerFactory

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Mobile/15E148 Safari/604.1"
)
HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
NAVIGATE = {"User-Agent": CHROME, "Accept": HTML, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
BROWSERS = [
    NAVIGATE,
    {**NAVIGATE, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-User": "?1"},
    {"Sec-Fetch-Mode": "navigate"},
    *({"User-Agent": agent, "Accept": HTML} for agent in (FIREFOX, CHROME, SAFARI)),  # over plain HTTP
]
PROGRAMS = [
    {"Accept": "text/html"},
    {"User-Agent": "Java/17.0.9", "Accept": "text/html, image/gif, image/jpeg, */*; q=0.2"},
    {"User-Agent": "Wget/1.21.3", "Accept": "*/*"},
    {"User-Agent": "Mozilla/5.0 (Windows NT; Windows NT 10.0; de-DE) WindowsPowerShell/5.1.22621", "Accept": "text/html"},
    {"User-Agent": "Mozilla/5.0 (compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)", "Accept": "text/html,*/*"},
    {"User-Agent": f"{CHROME} Site24x7-monitor", "Accept": HTML},
    {"User-Agent": CHROME, "Accept": "*/*"},
    {"User-Agent": CHROME, "Accept": HTML, "Sec-Fetch-Mode": "cors"},
    {"User-Agent": CHROME, "Accept": HTML, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty"},
    {"User-Agent": f"{FIREFOX} (+https://example.com/bot)", "Accept": HTML},
]


@pytest.mark.parametrize("headers", BROWSERS, ids=str)
def test_a_browser_gets_a_page_with_a_button_that_posts(client, headers):
    trigger = TriggerFactory()
    parameters = link_parameters(trigger)
    page = client.get(PATH, query_params=parameters, headers=headers)
    text = page.content.decode()
    assert (page.status_code, page["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert f"This link redeploys the application {trigger.application.name} on {trigger.application.cluster.name}" in text
    assert '<form method="post">' in text
    assert trigger.secret not in text
    assert "default-src &#x27;none&#x27;" not in text
    assert page["Content-Security-Policy"].startswith("default-src 'none'")
    assert (page["Referrer-Policy"], page["Cache-Control"]) == ("no-referrer", "no-store")
    assert not TriggerCall.objects.exists()
    pressed = client.post(PATH, query_params=parameters, headers=headers, data={})
    call = TriggerCall.objects.get()
    assert "The call is queued" in pressed.content.decode()
    assert f"/hook/calls/{call.pk}?token=" in pressed.content.decode()


@pytest.mark.parametrize("headers", PROGRAMS, ids=str)
def test_every_other_client_acts_at_once(client, headers):
    answer = client.get(PATH, query_params=link_parameters(TriggerFactory()), headers=headers)
    assert (answer["Content-Type"], answer.json()["state"]) == ("application/json", "queued")


@pytest.mark.parametrize(
    ("kind", "step", "said", "button"),
    [
        ("scale_out", 5, "This link adds 5 containers to the service ", "Add 5 containers"),
        ("scale_in", 1, "This link removes 1 container from the service ", "Remove 1 container"),
    ],
)
def test_the_page_of_a_scaling_says_how_many(client, kind, step, said, button):
    trigger = ScalingTriggerFactory()
    page = client.get(PATH, query_params={**link_parameters(trigger), "type": kind, "step": step}, headers=NAVIGATE)
    assert f"{said}{trigger.service.name} of {trigger.application.name}" in page.content.decode()
    assert f">{button}</button>" in page.content.decode()


def test_a_trigger_that_takes_only_post_has_the_page_too(client):
    trigger = TriggerFactory(post_only=True)
    assert b'<form method="post">' in client.get(PATH, query_params=link_parameters(trigger), headers=NAVIGATE).content


def test_a_link_that_is_wrong_has_no_button(client):
    parameters = {**link_parameters(TriggerFactory()), "secret": "0" * 64}
    page = client.get(PATH, query_params=parameters, headers=NAVIGATE)
    assert page.status_code == 404
    assert "No trigger matches this link." in page.content.decode()
    assert "<form" not in page.content.decode()


def test_a_registrys_link_says_what_it_is_for(client):
    registry = Registry.objects.create(host="registry.example.com")
    page = client.get(f"/hook/registry/{registry.hook_token}", headers=NAVIGATE)
    assert "This link receives the messages of the registry registry.example.com." in page.content.decode()
    assert not Delivery.objects.exists()


def test_the_page_can_be_turned_off(client, settings):
    settings.LINK_PAGE = False
    answer = client.get(PATH, query_params=link_parameters(TriggerFactory()), headers=NAVIGATE)
    assert answer.json()["state"] == "queued"


def test_a_hostile_name_is_text(client):
    trigger = TriggerFactory(application__name="<script>alert(1)</script>")
    page = client.get(PATH, query_params=link_parameters(trigger), headers=NAVIGATE).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page

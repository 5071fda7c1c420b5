"""A console below a path of its host (WINDLASS_PUBLIC_URL=https://example.com/windlass): no address leads out of it."""

import re

import pytest
from django.urls import clear_script_prefix, set_script_prefix

from clusters.badges import render_badge, render_shape
from console.templatetags.console import icon
from triggers.tests.factories import TriggerCallFactory

ADDRESS = re.compile(r'(?:href|src|action|formaction|hx-get|hx-post|data-[a-z-]+)="(/[^"]*)"')
NEXT = re.compile(r'name="next" value="(/[^"]*)"')
PREFIX = "/windlass"


@pytest.fixture(autouse=True)
def prefix(settings):
    settings.FORCE_SCRIPT_NAME = PREFIX
    settings.STATIC_URL = f"{PREFIX}/static/"
    settings.PUBLIC_URL = f"http://testserver{PREFIX}"
    forget_addresses()
    set_script_prefix(f"{PREFIX}/")  # the test client leaves that to the WSGI handler
    yield
    clear_script_prefix()
    forget_addresses()


def forget_addresses():
    """Clear what is rendered once in a process, with addresses of static files."""
    for render in (icon, render_badge, render_shape):
        render.cache_clear()


def find_strays(html):
    return [found for found in ADDRESS.findall(html) + NEXT.findall(html) if not found.startswith(f"{PREFIX}/")]


@pytest.mark.django_db
def test_no_page_leads_out(reader, fleet):
    pages = dict(fleet.pages) | {"admin": "/admin/", "admin of triggers": "/admin/triggers/trigger/"}
    found = {}
    for name, address in pages.items():
        answer = reader.get(address)
        assert answer.status_code == 200, address
        assert ADDRESS.search(answer.content.decode()) or name in {"container_use", "running_calls"}, name
        found[name] = find_strays(answer.content.decode())
    assert {name: strays for name, strays in found.items() if strays} == {}


@pytest.mark.django_db
def test_an_error_leads_back_into_the_console(reader):
    for address in ("/nowhere/", "/calls/00000000-0000-0000-0000-000000000000/"):
        page = reader.get(address)
        assert page.status_code == 404
        assert find_strays(page.content.decode()) == []


@pytest.mark.django_db
def test_redirects_stay_below_the_path(client, fleet):
    assert client.get("/applications/")["Location"] == f"{PREFIX}/login/?next={PREFIX}/applications/"
    assert client.get("/applications")["Location"] == f"{PREFIX}/applications/"
    assert client.get("/admin/login/")["Location"] == f"{PREFIX}/login/"
    assert client.post("/theme/", {"theme": "dark", "next": "https://elsewhere.example/"})["Location"] == f"{PREFIX}/"


@pytest.mark.django_db
def test_the_api_names_addresses_below_the_path(reader, fleet):
    TriggerCallFactory.create_batch(2)
    assert reader.get("/api/v1/calls/?limit=1").json()["next"].startswith(f"http://testserver{PREFIX}/api/v1/calls/")

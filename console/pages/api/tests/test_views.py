"""The pages that document the API: light, without scripts of their own, and complete."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from clusters.waits import NoPlace
from console.api import SchemaView
from console.pages.api import views
from console.pages.tests.reading import text_of

MOST_BYTES = 100_000


@pytest.fixture
def groups(reader):
    return {group.name: group for group in reader.get("/api/").context["groups"]}


def test_every_operation_of_the_schema_has_its_place(reader, groups):
    schema = reader.get(reverse("api-schema"), headers={"accept": "application/json"}).json()
    listed = {(operation.method.lower(), operation.path) for group in groups.values() for operation in group.operations}
    assert listed == {(method, path) for path, item in schema["paths"].items() for method in item}
    anchors = [operation.anchor for group in groups.values() for operation in group.operations]
    assert len(anchors) == len(set(anchors))
    text = text_of(reader.get("/api/"))
    for group in groups.values():
        page = text_of(reader.get(f"/api/reference/{group.name}/"))
        for operation in group.operations:
            assert f'href="/api/reference/{group.name}/#{operation.anchor}"' in text
            assert f'id="{operation.anchor}"' in page
        for name in re.findall(r'href="#([^"]+)"', page):
            assert f'id="{name}"' in page, name


def test_the_pages_are_light_and_load_nothing_but_what_every_page_loads(reader, groups):
    usual = set(re.findall(r"<(?:script|link)[^>]*>", text_of(reader.get("/help/"))))
    for address in ("/api/", *(f"/api/reference/{name}/" for name in groups)):
        page = reader.get(address)
        assert len(page.content) < MOST_BYTES, address
        assert set(re.findall(r"<(?:script|link)[^>]*>", text_of(page))) == usual


def test_an_operation_shows_its_address_parameters_body_answers_and_a_curl_line(reader):
    page = " ".join(re.sub(r"<[^>]*>", " ", text_of(reader.get("/api/reference/services/"))).split())
    assert "Scale POST /api/v1/services/{id}/scale/" in page
    assert "-X POST -H &#x27;Content-Type: application/json&#x27; --data" in page
    assert "http://testserver/api/v1/services/1/scale/" in page
    assert "Parameters Name Value Meaning" in page
    assert "Body, as JSON" in page
    assert "Answers" in page


def test_the_pages_lead_back_and_the_menu_leads_to_them(reader):
    assert '<a href="/help/">' in text_of(reader.get("/api/"))
    assert '<a href="/api/">' in text_of(reader.get("/api/reference/triggers/"))
    assert re.search(r'<a class="menu-item" href="/api/">', text_of(reader.get("/")))


def test_a_group_that_does_not_exist_is_not_found(reader):
    assert reader.get("/api/reference/nothing/").status_code == 404


def test_strangers_are_led_to_the_sign_in(client, db):
    for address in ("/api/", "/api/reference/triggers/"):
        answer = client.get(address)
        assert answer["Location"] == f"/login/?next={address}"


def test_a_token_opens_the_schema_and_not_the_page(db):
    assert Client(headers={"Authorization": "Bearer wl_unknown"}).get("/api/")["Location"].startswith("/login/")


def test_while_the_schema_is_made_for_others_the_page_says_when_to_come_again(reader, monkeypatch):
    def refuse(renderer):
        raise NoPlace(1, is_same=True)

    views._find_groups.cache_clear()
    monkeypatch.setattr(SchemaView, "read", refuse)
    page = reader.get("/api/")
    assert (page.status_code, page["Retry-After"]) == (503, "5")
    assert "Reload the page in 5 seconds." in text_of(page)

"""What is answered at addresses that do not exist, or that somebody cannot see."""

import re

import pytest
from django.test import Client

from clusters.roles import Role
from clusters.tests.factories import ClusterFactory
from clusters.tests.users import make_user
from console.pages.tests.reading import text_of

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def words_of(page):
    return re.sub(r"<[^>]*>", "", text_of(page)).split()


@pytest.mark.parametrize("address", ["/nothing/", "/applications/123456/", "/admin/nothing/", "/help/nothing/"])
def test_whoever_is_signed_in_stays_in_the_shell(reader, address):
    page = reader.get(address, headers=BROWSER)
    assert page.status_code == 404
    text = text_of(page)
    assert 'id="navigation"' in text
    assert '<li aria-current="page"><bdi>Page not found</bdi></li>' in text
    assert "data-palette-open" in text


def test_a_stranger_gets_the_frame_of_the_sign_in_without_a_query(client, django_assert_num_queries, db):
    with django_assert_num_queries(0):
        page = client.get("/nothing/")
    assert page.status_code == 404
    text = text_of(page)
    assert "Page not found" in text
    assert 'class="plain"' in text
    assert 'id="navigation"' not in text


def test_the_page_takes_the_queries_of_the_frame(reader, django_assert_max_num_queries):
    with django_assert_max_num_queries(4):
        reader.get("/nothing/")


def test_what_cannot_be_seen_is_answered_as_what_does_not_exist(client, fleet):
    client.force_login(make_user("eve", Role.VIEWER, ClusterFactory(name="elsewhere")))
    hidden, absent = (client.get(f"/applications/{pk}/") for pk in (fleet.application.pk, 123_456))
    assert (hidden.status_code, absent.status_code) == (404, 404)
    assert fleet.application.name not in text_of(hidden)
    assert words_of(hidden) == words_of(absent)


def test_what_is_refused_is_told_in_the_shell(client, fleet):
    client.force_login(make_user("eve", Role.VIEWER, fleet.cluster))
    page = client.get("/users/")
    assert page.status_code == 403
    assert 'id="navigation"' in text_of(page)
    assert "Ask an administrator if you need access." in text_of(page)


def test_a_dialog_that_finds_nothing_gets_no_shell(reader):
    page = reader.get("/triggers/123456/edit/", headers={"HX-Request": "true", "HX-Target": "dialog"})
    assert (page.status_code, 'id="navigation"' in text_of(page)) == (404, False)


@pytest.mark.parametrize("address", ["/api/v1/", "/api/v1/nothing/", "/api/nothing/", "/api/v2/triggers/"])
def test_a_program_is_told_where_the_schema_is_and_a_person_where_the_page_is(reader, address):
    answer = reader.get(address, headers={"accept": "*/*"})
    assert answer.status_code == 404
    assert answer.json() == {
        "code": "not_found",
        "detail": "The API has no such address. The schema lists all of them.",
        "schema": "http://testserver/api/schema/",
    }
    page = reader.get(address, headers=BROWSER)
    assert page.status_code == 404
    assert '<a class="button" href="/api/">' in text_of(page)


def test_a_program_that_is_not_signed_in_learns_no_more(db):
    assert Client().post("/api/v1/nothing/").json()["code"] == "not_found"


def test_addresses_of_links_answer_as_links_do(client, db):
    assert client.get("/hook/nothing", headers=BROWSER).json()["message"].startswith("No link has this address.")

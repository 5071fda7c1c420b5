"""Signing in, and the theme."""

import pytest
from django.test import Client

from clusters.models import Application
from console.pages.account import sign_in_views
from console.pages.tests.reading import text_of


def test_a_wrong_password_is_answered_with_one_sentence(db):
    response = Client().post("/login/", {"username": "admin", "password": "wrong"})
    assert "The user name or the password is wrong." in text_of(response)


def test_of_one_address_one_password_is_checked_at_a_time(db, monkeypatch):
    form = {"username": "admin", "password": "wrong"}
    checked = []
    monkeypatch.setattr("django.contrib.auth.forms.authenticate", lambda *_, **more: checked.append(more["username"]))
    with sign_in_views.line.turn("192.0.2.7"):
        response = Client(REMOTE_ADDR="192.0.2.7").post("/login/", form)
    assert (response.status_code, response["Retry-After"], checked) == (429, "5", [])
    assert "Your password was not checked; try again in a few seconds." in text_of(response)
    assert "The user name or the password is wrong." not in text_of(response)
    assert 'value="admin"' in response.content.decode()
    assert Client(REMOTE_ADDR="192.0.2.7").post("/login/", form).status_code == 200
    assert checked == ["admin"]


def test_the_theme_is_remembered_and_rendered_by_the_server(reader, fleet):
    response = reader.post("/theme/", {"theme": "dark", "next": "/applications/"})
    assert response["Location"] == "/applications/"
    assert '<html lang="en" data-theme="dark">' in reader.get("/applications/").content.decode()


@pytest.mark.parametrize(
    ("theme", "next_page"), [("<script>", "/"), ("dark", "https://elsewhere.example/"), ("dark", "//elsewhere.example")]
)
def test_a_theme_form_leads_nowhere_else(reader, theme, next_page):
    response = reader.post("/theme/", {"theme": theme, "next": next_page})
    assert response["Location"] == "/"
    assert Application.objects.count() == 0

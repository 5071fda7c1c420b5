"""Signing in, and the theme."""

import pytest
from django.test import Client

from clusters.models import Application
from console.pages.tests.reading import text_of


def test_a_wrong_password_is_answered_with_one_sentence(db):
    response = Client().post("/login/", {"username": "admin", "password": "wrong"})
    assert "The user name or the password is wrong." in text_of(response)


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

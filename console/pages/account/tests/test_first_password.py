"""The generated password of the first start opens nothing but the form that changes it."""

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from console.models import FirstPassword
from console.pages.tests.reading import text_of
from console.process.preparation import create_admin

pytestmark = pytest.mark.django_db
OWN = "a password of my own"


@pytest.fixture
def generated():
    password = create_admin()
    assert password
    return password


def sign_in(password):
    client = Client()
    client.post("/login/", {"username": "admin", "password": password})
    return client


def change(client, old, new):
    return client.post("/password/", {"old_password": old, "new_password1": new, "new_password2": new})


def test_pages_lead_to_the_form_and_the_api_and_the_admin_are_closed(generated):
    client = sign_in(generated)
    for path in ("/", "/users/", "/activity/", "/admin/", "/admin/auth/user/", "/api/"):
        response = client.get(path)
        assert (response.status_code, response.get("Location")) in {(302, "/password/"), (403, None)}, path
    assert client.post("/users/new/", {}).status_code == 302
    assert client.get("/api/v1/clusters/").status_code == 403
    page = text_of(client.get("/password/"))
    assert "Choose a password" in page
    assert "Activity" not in page


def test_a_password_of_their_own_opens_everything(generated):
    client = sign_in(generated)
    assert "Choose another password" in text_of(change(client, generated, generated))
    assert client.get("/").status_code == 302
    assert change(client, generated, OWN)["Location"] == "/"
    assert client.get("/").status_code == 200
    assert sign_in(OWN).get("/").status_code == 200
    assert not FirstPassword.objects.exists()


def test_another_session_with_the_first_password_ends_with_it(generated):
    first, second = sign_in(generated), sign_in(generated)
    change(first, generated, OWN)
    assert second.get("/")["Location"].startswith("/login/")


def test_a_password_that_the_operator_chose_is_kept(monkeypatch):
    monkeypatch.setenv("WINDLASS_ADMIN_PASSWORD", "chosen by the operator")
    create_admin()
    assert sign_in("chosen by the operator").get("/").status_code == 200


def test_the_command_that_sets_a_password_ends_it_too(generated, monkeypatch):
    monkeypatch.setattr("getpass.getpass", lambda prompt="": OWN)
    call_command("changepassword", "admin", verbosity=0)
    assert sign_in(OWN).get("/").status_code == 200


def test_nobody_else_is_asked(generated):
    User.objects.create_superuser("eve", password=OWN)
    client = Client()
    client.post("/login/", {"username": "eve", "password": OWN})
    assert client.get("/").status_code == 200

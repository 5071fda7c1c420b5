"""Signing in, and the theme."""

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import MD5PasswordHasher
from django.test import Client

from clusters.models import Application
from clusters.tests.users import make_user
from console.pages.account import throttle
from console.pages.account.tests.conftest import PASSWORD
from console.pages.tests.reading import text_of
from console.process.preparation import PreparationError, create_admin


def test_a_wrong_password_is_answered_with_one_sentence(db):
    response = Client().post("/login/", {"username": "admin", "password": "wrong"})
    assert "The user name or the password is wrong." in text_of(response)


def test_of_one_address_one_password_is_checked_at_a_time(db, monkeypatch):
    form = {"username": "admin", "password": "wrong"}
    checked = []
    monkeypatch.setattr("django.contrib.auth.forms.authenticate", lambda *_, **more: checked.append(more["username"]))
    with throttle.line.turn("192.0.2.7"):
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


class TestLocalLogin:
    """WINDLASS_LOCAL_LOGIN holds in the backend, so for every form."""

    @pytest.fixture
    def root(self, db):
        return make_user("root", is_superuser=True, password=PASSWORD)

    @pytest.mark.parametrize(
        ("setting", "bobs", "roots"), [("everybody", True, True), ("superusers", False, True), ("nobody", False, False)]
    )
    def test_who_signs_in_with_a_password(self, settings, bob, root, setting, bobs, roots):
        settings.LOCAL_LOGIN = setting
        for name, allowed in (("bob", bobs), ("root", roots)):
            assert (Client().post("/login/", {"username": name, "password": PASSWORD}).status_code == 302) == allowed
            assert (authenticate(None, username=name, password=PASSWORD) is not None) == allowed

    def test_superusers_alone_is_said_and_a_right_password_is_answered_like_a_wrong_one(self, settings, bob):
        settings.LOCAL_LOGIN = "superusers"
        assert "Only superusers sign in with a password here." in text_of(Client().get("/login/"))
        for password in (PASSWORD, "wrong"):
            response = Client().post("/login/", {"username": "bob", "password": password})
            assert response.status_code == 200
            assert "The user name or the password is wrong." in text_of(response)

    def test_whoever_it_is_and_whatever_holds_them_back_one_password_is_hashed(self, settings, bob, monkeypatch):
        settings.LOCAL_LOGIN = "superusers"
        make_user("gone", password=PASSWORD, is_active=False)
        make_user("without", password=None)
        real, hashed = MD5PasswordHasher.encode, []
        monkeypatch.setattr(
            MD5PasswordHasher, "encode", lambda self, password, salt: hashed.append(password) or real(self, password, salt)
        )
        for name in ("bob", "gone", "without", "nobody of this name"):
            hashed.clear()
            Client().post("/login/", {"username": name, "password": PASSWORD})
            assert len(hashed) == 1, name

    def test_nobody_is_said_and_nothing_is_checked(self, settings, bob, monkeypatch):
        settings.LOCAL_LOGIN = "nobody"
        monkeypatch.setattr("django.contrib.auth.hashers.check_password", lambda *_: pytest.fail("a password is checked"))
        page = Client().get("/login/")
        assert "Nobody signs in with a password here." in text_of(page)
        assert 'type="password"' not in page.content.decode()
        assert Client().post("/login/", {"username": "bob", "password": PASSWORD}).status_code == 403

    def test_sessions_go_on(self, settings, reader):
        settings.LOCAL_LOGIN = "nobody"
        assert reader.get("/calls/running/").status_code == 200


class TestNewPasswords:
    @pytest.mark.parametrize("new", ["Windlass1", "elevenchars", "q1w2e3r4t5y6"])
    def test_short_and_common_ones_are_refused(self, reader, administrator, new):
        page = text_of(reader.post("/password/", {"old_password": PASSWORD, "new_password1": new, "new_password2": new}))
        assert "too short" in page or "too common" in page
        administrator.refresh_from_db()
        assert administrator.check_password(PASSWORD)

    def test_a_short_one_that_exists_goes_on(self, db):
        make_user("old", password="Windlass1")
        assert Client().post("/login/", {"username": "old", "password": "Windlass1"}).status_code == 302

    def test_the_operators_own_is_judged_too(self, db, monkeypatch):
        monkeypatch.setenv("WINDLASS_ADMIN_PASSWORD", "Windlass1")
        with pytest.raises(PreparationError, match="WINDLASS_ADMIN_PASSWORD cannot be used. This password is too short"):
            create_admin()

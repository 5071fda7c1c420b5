"""The page of one's own sessions."""

import pytest
from django.test import Client

from clusters.models import AuditEntry
from clusters.roles import Role
from clusters.tests.users import make_user
from console.models import UserSession
from console.pages.account.tests.conftest import PASSWORD
from console.pages.tests.reading import text_of
from console.session_list import find_sessions

pytestmark = pytest.mark.django_db
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Safari/604.1"


def sign_in(agent, address):
    client = Client(HTTP_USER_AGENT=agent, REMOTE_ADDR=address)
    client.post("/login/", {"username": "bob", "password": PASSWORD})
    return client


@pytest.fixture
def here(bob):
    return sign_in(CHROME, "192.0.2.7")


@pytest.fixture
def phone(bob):
    return sign_in(IPHONE, "2001:db8::9")


def row_of(client):
    return UserSession.objects.get(session_key=client.session.session_key)


def test_it_shows_where_one_is_signed_in(here, phone):
    page = text_of(here.get("/account/sessions/"))
    for text in ("Chrome on Windows", "192.0.2.7", "this one", "Safari on an iPhone", "2001:db8::9", "End all others"):
        assert text in page


def test_one_is_ended(here, phone):
    response = here.post(f"/account/sessions/{row_of(phone).pk}/end/", follow=True)
    assert "The session of Safari on an iPhone has ended." in text_of(response)
    assert phone.get("/").status_code == 302
    entry = AuditEntry.objects.get(action="session.end")
    assert (entry.actor, entry.details["from_address"], entry.details["sessions"]) == ("bob", "2001:db8::9", 1)


def test_all_others_are_ended(here, phone):
    page = text_of(here.post("/account/sessions/end/", follow=True))
    assert "1 other session ended. You are signed in here alone." in page
    assert "End all others" not in page
    assert (phone.get("/").status_code, here.get("/").status_code) == (302, 200)


def test_the_one_in_use_is_not_ended_by_mistake(here):
    response = here.post(f"/account/sessions/{row_of(here).pk}/end/", follow=True)
    assert "Sign out to end it." in text_of(response)


def test_anothers_session_does_not_exist_here(here, administrator):
    client = Client()
    client.force_login(administrator)
    for row in (row_of(client).pk, 10**12):
        assert here.post(f"/account/sessions/{row}/end/").status_code == 404
    assert client.get("/").status_code == 200


class TestAdministrators:
    def test_they_end_all_sessions_of_a_user(self, here, phone, reader, bob):
        assert "2 sessions" in text_of(reader.get(f"/users/{bob.pk}/?tab=sign-in"))
        page = text_of(reader.post(f"/users/{bob.pk}/sessions/end/", follow=True))
        assert "2 sessions of bob ended. API tokens go on until you end them below." in page
        assert (here.get("/").status_code, phone.get("/").status_code) == (302, 302)
        entry = AuditEntry.objects.get(action="session.end")
        assert (entry.actor, entry.target, entry.details["sessions"]) == ("ada", "bob", 2)

    def test_their_own_current_one_stays(self, reader, administrator):
        assert "End other sessions" not in text_of(reader.get(f"/users/{administrator.pk}/"))
        reader.post(f"/users/{administrator.pk}/sessions/end/")
        assert reader.get("/").status_code == 200

    def test_a_superusers_sessions_are_for_superusers(self, reader):
        root = make_user("root", Role.ADMINISTRATOR, is_superuser=True)
        client = Client()
        client.force_login(root)
        assert reader.post(f"/users/{root.pk}/sessions/end/").status_code == 403
        assert len(find_sessions(root)) == 1

    def test_locks_are_listed_and_ended(self, reader, bob):
        for _ in range(5):
            Client(REMOTE_ADDR="192.0.2.7").post("/login/", {"username": "<b>eve</b>", "password": "wrong"})
        page = reader.get("/users/")
        assert "Locked sign-ins" in text_of(page)
        assert "<b>eve" not in page.content.decode()
        address = page.content.decode().split("/unlock/")[0].rsplit('action="', 1)[1] + "/unlock/"
        assert "Unlocked: &lt;b&gt;eve" in reader.post(address, follow=True).content.decode()
        assert "That lock has ended already." in text_of(reader.post(address, follow=True))
        assert "Locked sign-ins" not in text_of(reader.get("/users/"))

"""WINDLASS_SECOND_FACTOR: who is led to the set-up, and what opens before it is done."""

import pytest
from django.test import Client

from clusters.models import ClusterGrant
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory
from console.pages.account.tests.conftest import App, enter_password
from console.pages.account.tests.test_factor_views import set_up
from console.pages.tests.reading import DIALOG, count_queries, text_of, words_of

pytestmark = pytest.mark.django_db
PAGE = "/account/second-factor/"


@pytest.fixture
def required(settings, administrator):
    administrator.is_staff = True
    administrator.save()
    settings.SECOND_FACTOR = "administrators"


def test_nobody_has_to_by_default(administrator):
    assert enter_password().get("/").status_code == 200


def test_an_administrator_without_one_is_led_to_the_set_up_and_opens_nothing_else(administrator, required):
    client = enter_password()
    for path in ("/", "/users/", "/activity/", "/admin/", "/admin/auth/user/", "/audit/export/"):
        assert client.get(path)["Location"] == PAGE, path
    assert client.post("/users/new/", {}).status_code == 302
    assert client.get("/users/", headers=DIALOG)["HX-Redirect"] == PAGE
    answer = client.get("/api/v1/clusters/")
    assert (answer.status_code, answer.json()) == (
        403,
        {"detail": "Sign in on the pages and set up a second factor first."},
    )
    page = words_of(client.get(PAGE))
    assert "Use an authenticator app" in page
    assert "Sign out" in page
    assert "Activity" not in page
    assert client.get("/healthz").status_code == 200


def test_the_set_up_opens_everything(administrator, required):
    client = enter_password()
    assert "Activity" not in text_of(client.get(f"{PAGE}app/"))
    assert "Your recovery codes" in text_of(set_up(client))
    assert client.get("/").status_code == 200
    assert client.get("/admin/").status_code == 200
    assert client.get("/api/v1/clusters/").status_code == 200


def test_whoever_is_no_administrator_need_not(bob, required):
    assert enter_password("bob").get("/").status_code == 200


def test_an_administrator_of_one_cluster_is_one(bob, required):
    client = enter_password("bob")
    assert client.get("/").status_code == 200
    ClusterGrant.objects.create(user=bob, cluster=ClusterFactory(), role=Role.ADMINISTRATOR)
    assert client.get("/")["Location"] == PAGE  # at once, in a session that began before


def test_everybody_can_be_asked(bob, settings):
    settings.SECOND_FACTOR = "everybody"
    client = enter_password("bob")
    assert client.get("/")["Location"] == PAGE
    App(bob)
    assert client.get("/").status_code == 200


def test_it_is_looked_for_once_a_session(bob, settings):
    App(bob)
    client = Client()
    client.force_login(bob)
    plain = count_queries(client, "/triggers/")
    settings.SECOND_FACTOR = "everybody"
    assert client.get("/triggers/").status_code == 200
    assert count_queries(client, "/triggers/") == plain


def test_a_link_that_a_browser_opens_is_no_page_of_the_console(administrator, required):
    client = enter_password()
    assert client.get("/")["Location"] == PAGE
    assert client.get("/hook/trigger").status_code == 400
    assert client.get("/hook/calls/00000000-0000-0000-0000-000000000000/").status_code in (400, 404)
    assert client.post("/hook/registry/x/").status_code in (400, 404)


def test_the_sign_out_works(administrator, required):
    client = enter_password()
    client.post("/logout/")
    assert client.get("/")["Location"].startswith("/login/")

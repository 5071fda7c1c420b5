"""Forms that are refused, and why."""

import pytest
from django.test import Client

EXPIRED, UNKNOWN = "The form has expired", "WINDLASS_PUBLIC_URL=https://testserver"


@pytest.fixture
def sign_in(db):
    """Send the form of the sign-in as a browser does that has loaded the page from `origin`."""

    def send(origin: str, token: str = "", **more: object) -> str:
        client = Client(enforce_csrf_checks=True)
        client.get("/login/", **more)
        fields = {"username": "x", "password": "y", "csrfmiddlewaretoken": token or client.cookies["csrftoken"].value}
        answer = client.post("/login/", fields, headers={"Origin": origin}, **more)
        assert answer.status_code == 403
        return answer.content.decode()

    return send


def test_a_proxy_that_the_console_does_not_know_is_named(sign_in):
    page = sign_in("https://testserver")
    assert UNKNOWN in page
    assert EXPIRED not in page


@pytest.mark.parametrize(
    "origin", ["https://elsewhere.example", "https://testserver:8443", "null", "https://[", "http://elsewhere"]
)
def test_another_origin_is_advised_nothing(sign_in, origin):
    page = sign_in(origin)
    assert EXPIRED in page
    assert "WINDLASS_PUBLIC_URL" not in page


def test_an_old_form_is_an_old_form(sign_in):
    assert EXPIRED in sign_in("http://testserver", token="a" * 32)

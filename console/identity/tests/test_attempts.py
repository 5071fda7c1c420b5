from django.http import HttpResponse
from django.test import RequestFactory

from console.identity.attempts import COOKIE, LINK, Attempt, find_attempt, forget_attempt


def ask(cookie, state):
    request = RequestFactory().get("/login/callback/", {"state": state})
    request.COOKIES[COOKIE] = cookie
    return find_attempt(request)


def test_an_attempt_is_found_by_its_cookie_and_its_state():
    response, attempt = HttpResponse(), Attempt("7", LINK, user_id=3)
    attempt.keep(response)
    cookie = response.cookies[COOKIE].value
    assert ask(cookie, attempt.state) == attempt
    for state in ("", attempt.state[:-1], attempt.nonce, "é"):
        assert ask(cookie, state) is None
    for wrong in ("", cookie[1:], cookie + "x", "a:b:c"):
        assert ask(wrong, attempt.state) is None


def test_attempts_do_not_resemble_each_other():
    attempts = [Attempt("7") for _ in range(50)]
    secrets = {secret for one in attempts for secret in (one.state, one.nonce, one.verifier)}
    assert len(secrets) == 150
    assert all(43 <= len(secret) <= 128 for secret in secrets)  # RFC 7636 wants that of a verifier


def test_a_long_attempt_fits_into_a_cookie():
    response = HttpResponse()
    Attempt("environment", next="/" + "é" * 999, invitation="x" * 100).keep(response)
    assert len(response.cookies[COOKIE].OutputString()) < 4096


def test_an_attempt_is_forgotten():
    response = HttpResponse()
    forget_attempt(response)
    assert response.cookies[COOKIE]["max-age"] == 0

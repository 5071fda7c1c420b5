"""From the button to the session, and every way on which nobody is signed in."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.test.utils import override_script_prefix

from clusters.access.counted_acts import counted_acts
from clusters.models import AuditEntry
from clusters.registry.errors import RegistryError
from clusters.roles import Role
from clusters.tests.users import make_user
from console.identity.attempts import COOKIE
from console.models import GroupMapping, IdentityProvider

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_counts():
    counted_acts.forget()
    yield
    counted_acts.forget()


@pytest.fixture
def start(provider_row):
    return f"/login/provider/{provider_row.pk}/"


def signed_in_user(client):
    return client.get("/account/identities/").wsgi_request.user


def check_refused(client, response, words, reason, status=400):
    assert response.status_code == status
    assert words in response.content.decode()
    assert "Traceback" not in response.content.decode()
    assert not signed_in_user(client).is_authenticated
    assert AuditEntry.objects.filter(action="sign_in.fail", details__reason=reason).exists()
    assert COOKIE not in client.cookies or not client.cookies[COOKIE].value


def test_the_sign_in_page_has_a_button_for_each_enabled_provider(client, provider_row, start):
    IdentityProvider.objects.create(issuer="https://off.test", name="Hidden", client_id="x", is_enabled=False)
    text = client.get("/login/?next=/clusters/").content.decode()
    assert f'action="{start}"' in text
    assert text.count('name="next" value="/clusters/"') == 3  # a password's form, and a passkey's
    assert "Hidden" not in text
    assert text.index(start) < text.index("id_password")


def test_the_button_leads_on_by_a_page_and_not_by_a_redirect(client, fake_provider, start):
    response = client.post(start)
    text = response.content.decode()
    assert response.status_code == 200
    assert '<meta http-equiv="refresh" content="0; url=https://id.example.com/realms/main/authorize?' in text
    assert "form-action 'self'" in response["Content-Security-Policy"]
    query = parse_qs(urlsplit(response.context["way"]).query)
    assert query["redirect_uri"] == ["http://testserver/login/callback/"]
    assert query["scope"] == ["openid profile email"]
    assert len(query["state"][0]) >= 43
    assert len(query["nonce"][0]) >= 43
    cookie = client.cookies[COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Lax", 600)


def test_the_redirect_address_below_a_path(client, fake_provider, start, settings):
    settings.PUBLIC_URL = "https://example.com/windlass"
    with override_script_prefix("/windlass/"):
        query = parse_qs(urlsplit(client.post(start).context["way"]).query)
    assert query["redirect_uri"] == ["https://example.com/windlass/login/callback/"]


def test_strangers_who_begin_store_nothing(client, fake_provider, start):
    for _ in range(3):
        client.post(start)
    client.get("/login/callback/?state=x&code=y")
    assert not Session.objects.exists()
    assert AuditEntry.objects.count() == 1


def test_a_button_takes_a_form_of_this_site(fake_provider, start):
    client = Client(enforce_csrf_checks=True)
    assert client.post(start).status_code == 403
    assert client.get(start).status_code == 405


def test_somebody_signs_in(client, arrive, start):
    response = arrive(start, next="/clusters/?a=b")
    assert (response.status_code, response["Location"]) == (302, "/clusters/?a=b")
    user = signed_in_user(client)
    assert user.username == "grace"
    assert "You have no role yet" in client.get("/").content.decode()
    entry = AuditEntry.objects.get(action="sign_in", actor="grace")
    assert entry.details == {"by": "https://id.example.com/realms/main", "method": "identity provider"}


@pytest.mark.parametrize(
    "target",
    ["https://evil.example.com/", "//evil.example.com", "javascript:alert(1)", "clusters/", "/" + "x" * 5000],
    ids=["elsewhere", "no-scheme", "script", "relative", "too-long"],
)
def test_nobody_is_led_elsewhere(arrive, start, target):
    assert arrive(start, next=target)["Location"] == "/"


def test_no_token_and_few_claims_are_kept(arrive, fake_provider, start):
    fake_provider.person |= {"picture": "https://x.test/p.png", "email": "g@example.com"}
    arrive(start)
    assert SocialAccount.objects.get().extra_data == {"preferred_username": "grace", "email": "g@example.com"}
    assert not SocialToken.objects.exists()
    assert not SocialApp.objects.exists()


def test_whoever_was_signed_in_is_signed_out_first(client, arrive, start):
    client.force_login(make_user("bob", Role.VIEWER))
    arrive(start)
    assert signed_in_user(client).username == "grace"
    assert AuditEntry.objects.filter(action="sign_out", actor="bob").exists()


def test_groups_give_and_take_at_each_sign_in(client, arrive, fake_provider, provider_row, start):
    GroupMapping.objects.create(issuer=provider_row.issuer, group="ops", role=Role.DEPLOYER)
    fake_provider.person["groups"] = ["ops"]
    arrive(start)
    assert signed_in_user(client).has_perm("triggers.add_trigger")
    fake_provider.person["groups"] = []
    arrive(start)
    assert not signed_in_user(client).has_perm("triggers.add_trigger")


def test_a_deactivated_user_is_told_so(client, arrive, start):
    arrive(start)
    client.logout()
    User.objects.update(is_active=False)
    assert arrive(start)["Location"] == "/login/inactive/"
    assert not signed_in_user(client).is_authenticated


def test_people_who_are_not_admitted(client, arrive, provider_row, start):
    IdentityProvider.objects.update(admits="known")
    check_refused(client, arrive(start), "Ask an administrator for an invitation", "unknown")
    assert AuditEntry.objects.get().actor == "grace"
    IdentityProvider.objects.update(admits="mapped")
    check_refused(client, arrive(start), "None of your groups", "no_role")
    assert not User.objects.exists()


def test_a_state_of_another_browser_is_refused(client, fake_provider, start):
    answer = fake_provider.visit(Client().post(start).context["way"])
    check_refused(client, client.get("/login/callback/", answer), "not begun in this browser", "state")
    client.post(start)
    check_refused(client, client.get("/login/callback/", answer), "not begun in this browser", "state")


def test_an_answer_is_taken_once(client, fake_provider, start):
    answer = fake_provider.visit(client.post(start).context["way"])
    assert client.get("/login/callback/", answer).status_code == 302
    client.logout()
    check_refused(client, client.get("/login/callback/", answer), "not begun in this browser", "state")


def test_a_cookie_that_was_changed_or_is_old(client, fake_provider, start, monkeypatch):
    answer = fake_provider.visit(client.post(start).context["way"])
    kept = client.cookies[COOKIE].value
    client.cookies[COOKIE] = kept[:-1] + ("A" if kept[-1] != "A" else "B")
    check_refused(client, client.get("/login/callback/", answer), "not begun in this browser", "state")
    client.cookies[COOKIE] = kept
    monkeypatch.setattr("console.identity.attempts.SECONDS", -1)
    check_refused(client, client.get("/login/callback/", answer), "not begun in this browser", "state")


@pytest.mark.parametrize(
    ("answer", "words", "reason"),
    [
        ({"error": "access_denied"}, "did not let you in", "denied"),
        ({"error": "temporarily_unavailable"}, "temporarily_unavailable", "provider"),
        ({"code": ""}, "without a code", "bad_answer"),
        ({"code": "guessed"}, "took too long", "grant"),
        ({"iss": "https://evil.example.com"}, "not from Example", "issuer"),
    ],
    ids=str,
)
def test_answers_that_end_without_a_sign_in(client, arrive, start, answer, words, reason):
    check_refused(client, arrive(start, answer=answer), words, reason)


def test_a_wrong_client_secret(client, arrive, fake_provider, start):
    fake_provider.secret = "another"
    check_refused(client, arrive(start), "does not accept the console&#x27;s client ID and secret", "client")


def test_an_issuer_that_calls_itself_something_else(client, fake_provider, start):
    fake_provider.document["issuer"] = "https://other.example.com"
    check_refused(client, client.post(start), "calls itself", "issuer")


def test_a_provider_that_is_away_leaves_the_password(client, fake_provider, start):
    fake_provider.failure = RegistryError("refused", "unreachable")
    response = client.post(start)
    check_refused(client, response, "cannot be reached", "unreachable", status=503)
    assert re.search(r'href="/login/"', response.content.decode())
    make_user("bob", password="a good password")
    assert client.post("/login/", {"username": "bob", "password": "a good password"}).status_code == 302


def test_a_provider_that_was_removed_meanwhile(client, fake_provider, provider_row, start):
    answer = fake_provider.visit(client.post(start).context["way"])
    provider_row.delete()
    check_refused(client, client.get("/login/callback/", answer), "no longer here", "provider")
    check_refused(client, client.post(start), "no longer here", "provider")


def test_a_disabled_provider_signs_nobody_in(client, fake_provider, start):
    IdentityProvider.objects.update(is_enabled=False)
    check_refused(client, client.post(start), "no longer here", "provider")


def test_many_refusals_are_few_entries(client):
    for number in range(200):
        client.get(f"/login/callback/?state={number}")
    assert AuditEntry.objects.count() == 1


def test_the_provider_of_the_environment(client, arrive, fake_provider, settings):
    from console.identity.tests.fake_provider import CLIENT, ISSUER, SECRET

    names = {"name": "Company", "scopes": "openid", "groups_claim": "groups", "admits": "everybody"}
    settings.OIDC = {"issuer": ISSUER, "client_id": CLIENT, "given_secret": SECRET, **names}
    assert "Company" in client.get("/login/").content.decode()
    assert arrive("/login/provider/environment/").status_code == 302
    assert signed_in_user(client).username == "grace"

"""The pages of one's own API tokens."""

import shlex
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db.models import Max
from django.test import Client
from django.utils import timezone
from rest_framework.authtoken.models import Token

from clusters.access.tokens import MOST, create_token, find_token
from clusters.models import ApiToken, AuditEntry
from clusters.roles import Role
from clusters.tests.factories import ApplicationFactory, ClusterFactory
from clusters.tests.users import make_user
from console.pages.account.fresh import CONFIRMED_AT, FRESH_SECONDS
from console.pages.account.tests.conftest import PASSWORD
from console.pages.tests.reading import DIALOG, text_of, words_of

pytestmark = pytest.mark.django_db
FORM = {"name": "pipeline", "role": "operator", "expires": "90"}


@pytest.fixture
def own(reader, administrator):
    """One of the reader's tokens."""
    return create_token(administrator, "nightly", Role.DEPLOYER, [ClusterFactory(name="quay")], 30)[0]


def post(client, path="/account/tokens/new/", **changed):
    return client.post(path, FORM | changed)


def secret_of(response):
    return response.context["text"]


def last_act():
    entry = AuditEntry.objects.latest("pk")
    return entry.action, entry.actor, entry.target, entry.details


class TestNew:
    def test_a_token_is_shown_once_with_a_line_that_works_when_pasted(self, reader, settings):
        settings.PUBLIC_URL = "https://windlass.example.com"
        application = ApplicationFactory()
        shown = post(reader)
        text = secret_of(shown)
        command, *flags, option, header, address = shlex.split(shown.context["curl"])
        assert (command, flags, option) == ("curl", ["--fail-with-body", "-sS"], "-H")
        assert address == "https://windlass.example.com/api/v1/applications/"
        assert text in text_of(shown)
        name, _, value = header.partition(": ")
        answer = Client().get("/api/v1/applications/", headers={name: value})
        assert [row["name"] for row in answer.json()["results"]] == [application.name]
        assert shown["Cache-Control"].count("no-store") == 1
        for path in ("/account/tokens/", "/account/tokens/new/", "/audit/", "/users/"):
            assert text not in text_of(reader.get(path))
        assert text not in str(list(AuditEntry.objects.values()))
        assert text not in str(reader.session.items())

    def test_it_has_the_chosen_limits_and_is_recorded(self, reader, administrator):
        quay, north = ClusterFactory(name="quay"), ClusterFactory(name="north")
        post(reader, clusters=[quay.pk, north.pk])
        token = ApiToken.objects.get()
        assert (token.user, token.name, token.role, token.all_clusters) == (administrator, "pipeline", "operator", False)
        assert set(token.clusters.all()) == {quay, north}
        assert abs(token.expiry - timezone.now() - timedelta(days=90)) < timedelta(minutes=1)
        details = {"role": "Operator", "clusters": ["north", "quay"], "expires": token.expiry.isoformat(timespec="minutes")}
        assert last_act() == ("token.create", "ada", "pipeline", details)

    def test_without_chosen_clusters_it_is_for_all(self, reader):
        post(reader)
        assert ApiToken.objects.get().all_clusters
        assert last_act()[3]["clusters"] == "all"

    @pytest.mark.parametrize(
        ("changed", "field"),
        [
            ({"name": ""}, "name"),
            ({"name": " "}, "name"),
            ({"name": "two\nlines"}, "name"),
            ({"name": "n" * 65}, "name"),
            ({"name": "a\0b"}, "name"),
            ({"name": "nightly"}, "__all__"),
            ({"role": "emperor"}, "role"),
            ({"role": ""}, "role"),
            ({"expires": "91"}, "expires"),
            ({"expires": ""}, "expires"),
            ({"clusters": ["0"]}, "clusters"),
            ({"clusters": ["x"]}, "clusters"),
        ],
    )
    def test_an_error_is_shown_at_its_field_and_nothing_is_made(self, reader, own, changed, field):
        before = AuditEntry.objects.count()
        response = post(reader, **changed)
        assert field in response.context["form"].errors
        assert list(ApiToken.objects.all()) == [own]
        assert AuditEntry.objects.count() == before

    def test_only_administrators_are_offered_one_without_an_end(self, reader, bob):
        post(reader, expires="never")
        assert ApiToken.objects.get().expiry is None
        client = Client()
        client.force_login(bob)
        assert 'value="never"' not in text_of(client.get("/account/tokens/new/"))
        assert "expires" in post(client, expires="never").context["form"].errors
        assert not ApiToken.objects.filter(user=bob).exists()

    def test_clusters_that_the_user_does_not_see_are_not_offered(self, bob):
        hidden, seen = ClusterFactory(name="unseen"), ClusterFactory(name="quay")
        client = Client()
        client.force_login(make_user("part", Role.VIEWER, seen))
        assert "unseen" not in text_of(client.get("/account/tokens/new/"))
        assert "clusters" in post(client, clusters=[hidden.pk]).context["form"].errors
        assert "text" in post(client, clusters=[seen.pk]).context

    def test_the_fiftieth_is_the_last(self, reader, administrator):
        for number in range(MOST):
            create_token(administrator, str(number), Role.VIEWER, None, 1)
        assert "A user can have 50 tokens. End one first." in text_of(post(reader))
        assert ApiToken.objects.count() == MOST

    def test_in_the_dialog_the_list_behind_it_is_renewed(self, reader):
        page = reader.post("/account/tokens/new/", FORM, headers=DIALOG)
        assert 'id="list" hx-swap-oob="true"' in text_of(page)
        assert "<html" not in text_of(page)
        assert 'hx-swap-oob="true"' not in text_of(post(reader, name="another"))


class TestList:
    def test_it_shows_what_there_is_of_ones_own(self, reader, own, administrator, bob):
        Token.objects.create(user=administrator)
        create_token(bob, "of bob", Role.VIEWER, None, 1)
        ApiToken.objects.filter(pk=own.pk).update(
            expiry=timezone.now() - timedelta(days=1), last_used_at=timezone.now(), last_used_from="203.0.113.9"
        )
        words = words_of(reader.get("/account/tokens/"))
        for shown in ("Old kind", "all your rights", "no end", "nightly", "Expired", "Deployer", "quay", "from 203.0.113.9"):
            assert shown in words
        assert "of bob" not in words
        assert Token.objects.get().key not in words

    def test_one_whose_clusters_are_deleted_is_not_shown_as_one_for_all(self, reader, own):
        own.clusters.get().delete()
        assert "none is left" in words_of(reader.get("/account/tokens/"))


class TestEnd:
    def test_it_is_asked_for_ends_the_token_and_is_recorded(self, reader, own):
        path = f"/account/tokens/{own.pk}/end/"
        assert "nightly" in text_of(reader.get(path, headers=DIALOG))
        assert ApiToken.objects.exists()
        assert reader.post(path)["Location"] == "/account/tokens/"
        assert not ApiToken.objects.exists()
        assert last_act() == ("token.end", "ada", "nightly", {"user": "ada"})
        assert reader.post(path).status_code == 404

    def test_so_does_one_of_the_old_kind(self, reader, administrator):
        Token.objects.create(user=administrator)
        reader.post("/account/tokens/old/end/")
        assert not Token.objects.exists()
        assert last_act() == ("token.end", "ada", "ada", {"kind": "old kind"})

    @pytest.mark.parametrize("act", ["end", "replace"])
    @pytest.mark.parametrize("key", ["old", "0", "x", "9" * 18, "9" * 30, "²", "-1"])
    def test_what_is_not_there_is_not_found(self, reader, act, key):
        for method in (reader.get, reader.post):
            assert method(f"/account/tokens/{key}/{act}/").status_code == 404

    @pytest.mark.parametrize("act", ["end", "replace"])
    def test_another_users_is_not_found_by_anybody(self, reader, bob, act):
        token, text = create_token(bob, "of bob", Role.VIEWER, None, 1)
        Token.objects.create(user=bob)
        for key in (token.pk, "old"):
            assert post(reader, f"/account/tokens/{key}/{act}/").status_code == 404
        assert find_token(text) == token
        assert Token.objects.filter(user=bob).exists()


class TestReplace:
    def test_one_of_the_old_kind_ends_and_a_limited_one_takes_its_place(self, reader, administrator):
        key = Token.objects.create(user=administrator).key
        text = secret_of(post(reader, "/account/tokens/old/replace/"))
        assert not Token.objects.exists()
        action, _, target, details = last_act()
        assert (action, target, details["replaced"]) == ("token.replace", "pipeline", "old kind")
        assert ApiToken.objects.get().role == "operator"
        assert Client().get("/api/v1/clusters/", headers={"Authorization": f"Token {key}"}).status_code == 401
        assert Client().get("/api/v1/clusters/", headers={"Authorization": f"Token {text}"}).status_code == 200

    def test_the_form_begins_with_the_former_limits_and_the_name_can_stay(self, reader, own):
        path = f"/account/tokens/{own.pk}/replace/"
        form = reader.get(path).context["form"]
        assert (form["name"].value(), form["role"].value()) == ("nightly", "deployer")
        assert form["clusters"].value() == [own.clusters.get().pk]
        quay = own.clusters.get()
        assert "text" in post(reader, path, name="nightly", clusters=[quay.pk]).context
        assert ApiToken.objects.get().pk != own.pk

    def test_one_for_chosen_clusters_does_not_become_one_for_all(self, reader, own):
        own.clusters.get().delete()
        response = post(reader, f"/account/tokens/{own.pk}/replace/")
        assert "clusters" in response.context["form"].errors
        assert ApiToken.objects.get() == own

    def test_what_is_refused_leaves_the_former_one(self, reader, own, administrator):
        create_token(administrator, "taken", Role.VIEWER, None, 1)
        quay = own.clusters.get()
        assert "There is a token of this name" in text_of(
            post(reader, f"/account/tokens/{own.pk}/replace/", name="taken", clusters=[quay.pk])
        )
        assert ApiToken.objects.filter(pk=own.pk).exists()
        Token.objects.create(user=administrator)
        post(reader, "/account/tokens/old/replace/", name="taken")
        assert Token.objects.exists()


class TestPassword:
    CHANGE = {"old_password": PASSWORD, "new_password1": "another horse", "new_password2": "another horse"}

    def test_they_end_with_it_as_the_act_of_the_user(self, reader, own, administrator):
        Token.objects.create(user=administrator)
        page = reader.post("/password/", self.CHANGE, follow=True)
        assert "Your other sessions and your API tokens have ended." in text_of(page)
        assert not ApiToken.objects.exists()
        assert not Token.objects.exists()
        ended = AuditEntry.objects.get(action="token.end")
        assert (ended.actor, ended.target, ended.address) == ("ada", "ada", "127.0.0.1")
        assert ended.details == {"tokens": ["nightly", "old kind"], "because": "the password was changed"}

    def test_they_stay_if_the_user_keeps_them(self, reader, own):
        assert "Keep my API tokens" in text_of(reader.get("/password/"))
        page = reader.post("/password/", self.CHANGE | {"keep_tokens": "on"}, follow=True)
        assert "Your other sessions have ended." in text_of(page)
        assert ApiToken.objects.get() == own
        assert not AuditEntry.objects.filter(action="token.end").exists()

    def test_without_tokens_nobody_is_asked(self, reader):
        assert "Keep my API tokens" not in text_of(reader.get("/password/"))

    def test_a_refused_change_ends_none(self, reader, own):
        reader.post("/password/", self.CHANGE | {"old_password": "wrong"})
        assert ApiToken.objects.get() == own


def test_somebody_without_a_role_has_the_pages_too(db):
    client = Client()
    client.force_login(User.objects.create_user("new"))
    assert "New token" in text_of(client.get("/account/tokens/"))
    assert "text" in post(client).context
    assert ApiToken.objects.aggregate(most=Max("pk"))["most"]


def test_a_session_that_somebody_finds_open_makes_no_token(reader):
    session = reader.session
    session[CONFIRMED_AT] -= FRESH_SECONDS
    session.save()
    for path in ("/account/tokens/new/", "/account/tokens/old/replace/"):
        assert reader.post(path, {"name": "mine"})["Location"].startswith("/account/second-factor/confirm/?next=%2Faccount")
    assert not ApiToken.objects.exists()

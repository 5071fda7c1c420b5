"""Tokens in requests to the API."""

import random
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.authtoken.models import Token
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from clusters.access.counted_acts import counted_acts
from clusters.access.tokens import create_token
from clusters.api.authentication import TokenAuthentication
from clusters.models import ApiToken, AuditEntry
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory
from clusters.tests.users import make_user

pytestmark = pytest.mark.django_db
PATH = "/api/v1/clusters/"
ADDRESS = "203.0.113.9"


@pytest.fixture
def eve():
    return make_user("eve", Role.VIEWER)


def make(user, role=Role.VIEWER, clusters=None, days=90):
    return create_token(user, "pipeline", role, clusters, days)


def ask(header, path=PATH, client=None):
    return (client or Client(REMOTE_ADDR=ADDRESS)).get(path, headers={"Authorization": header})


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "Token", "TOKEN"])
def test_a_token_is_brought_as_bearer_or_as_token(eve, kind):
    _, text = make(eve)
    assert ask(f"{kind} {text}").status_code == 200
    assert ask(f"{kind}   {text} ").status_code == 200


def test_one_of_the_old_kind_works_as_before_with_all_rights(eve):
    cluster, root = ClusterFactory(), User.objects.create_superuser("root")
    assert ask(f"Token {Token.objects.create(user=eve).key}").status_code == 200
    header = {"Authorization": f"Token {Token.objects.create(user=root).key}"}
    assert Client(headers=header).delete(f"{PATH}{cluster.pk}/").status_code == 204
    assert ask(f"Bearer {Token.objects.get(user=eve).key}").status_code == 401


@pytest.mark.parametrize(
    "header", ["Token", "Token ", "Token a b", "Token wl_", "Bearer wl_unknown", "Bearer wl_a b", "Token \xff"]
)
def test_another_text_is_answered_with_a_code_and_a_sentence(eve, header):
    answer = ask(header)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_unknown")
    assert answer["WWW-Authenticate"] == "Bearer"
    assert "wl_a" not in answer.content.decode()


def test_no_mutation_of_a_token_is_accepted_and_none_fails_otherwise(eve, rf):
    key, chance = Token.objects.create(user=eve).key, random.Random(4)
    texts = [make(eve)[1], key]
    for number in range(1_500):
        text = list(texts[number % 2])
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(text))
            text[place : place + chance.randint(0, 2)] = chance.choices("0aF_ é\xff\x00%'\x7f", k=chance.randint(0, 2))
        mutated = "".join(text)
        if mutated.split() in ([texts[0]], [texts[1]]):
            continue
        request = Request(rf.get(PATH, headers={"Authorization": f"Token {mutated}"}))
        with pytest.raises(AuthenticationFailed):
            TokenAuthentication().authenticate(request)


def test_a_bearer_of_a_proxy_does_not_shut_out_a_session(eve, client):
    client.force_login(eve)
    assert ask("Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl", client=client).status_code == 200
    assert ask("Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl").status_code == 401


def test_a_token_counts_more_than_a_session(eve, client):
    client.force_login(User.objects.create_superuser("root"))
    _, text = make(eve)
    header = {"Authorization": f"Bearer {text}"}
    assert client.delete(f"{PATH}{ClusterFactory().pk}/", headers=header).status_code == 403
    assert ask("Bearer wl_unknown", client=client).status_code == 401


def test_an_expired_one_says_so_stays_and_is_counted_by_user(eve):
    token, text = make(eve)
    token.expiry = timezone.now() - timedelta(seconds=1)
    token.save()
    for _ in range(3):
        with CaptureQueriesContext(connection) as queries:
            answer = ask(f"Bearer {text}")
        assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")
        assert answer.json()["detail"].startswith("The API token pipeline expired at 20")
    assert len(queries) == 1  # nothing is written, and nothing deleted
    token.refresh_from_db()
    assert token.last_used_at is None
    counted_acts.store()
    entry = AuditEntry.objects.get(action="token.refuse")
    assert (entry.actor, entry.count, entry.details["expired"], entry.address) == ("eve", 3, "pipeline", ADDRESS)


def test_that_of_a_user_who_was_deactivated_beside_the_console_is_unknown(eve):
    _, text = make(eve)
    key = Token.objects.create(user=eve).key
    User.objects.update(is_active=False)
    for header in (f"Bearer {text}", f"Token {key}"):
        assert ask(header).json()["code"] == "token_unknown"


def test_when_and_from_where_it_was_used_is_noted_by_one_write_a_minute(eve, monkeypatch):
    _, text = make(eve, clusters=[ClusterFactory()])
    now = timezone.now().replace(second=30)
    monkeypatch.setattr("clusters.access.tokens.timezone.now", lambda: now)
    writes = []
    for _ in range(3):
        with CaptureQueriesContext(connection) as queries:
            assert ask(f"Bearer {text}").status_code == 200
        writes.append(sum(query["sql"].startswith("UPDATE") for query in queries))
    assert writes == [1, 0, 0]
    token = ApiToken.objects.get()
    assert (token.last_used_at, token.last_used_from) == (now.replace(second=0, microsecond=0), ADDRESS)


def test_a_token_costs_one_query_and_one_more_for_chosen_clusters(eve):
    key, cluster = Token.objects.create(user=eve).key, ClusterFactory()
    old = count_queries(f"Token {key}")
    _, text = make(eve)
    ask(f"Bearer {text}")
    assert count_queries(f"Bearer {text}") == old
    ApiToken.objects.all().delete()
    _, text = make(eve, clusters=[cluster])
    ask(f"Bearer {text}")
    assert count_queries(f"Bearer {text}") == old + 2  # its clusters, and the user's grants


def count_queries(header):
    with CaptureQueriesContext(connection) as queries:
        assert ask(header).status_code == 200
    return len(queries)


def test_what_is_done_by_a_token_is_recorded_with_its_name():
    cluster = ClusterFactory(name="quay")
    _, text = make(User.objects.create_superuser("root"), Role.ADMINISTRATOR, [cluster])
    header = {"Authorization": f"Bearer {text}"}
    assert Client(headers=header).delete(f"{PATH}{cluster.pk}/").status_code == 204
    entry = AuditEntry.objects.get(action="cluster.delete")
    assert (entry.actor, entry.target, entry.details["token"]) == ("root", "quay", "pipeline")
    assert User.objects.get().is_superuser

"""Choosing a registry and its credentials, and what is said of a push; tests/integration asks real registries."""

from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from clusters import registries
from clusters.models import Registry
from clusters.registries import PushPermission
from clusters.registry.access import PullLimit
from clusters.registry.errors import RegistryError
from clusters.tests.pooled import pooled as pooled
from clusters.waits import wait_for_registry

pytestmark = pytest.mark.django_db
REPOSITORY = "registry.example.com:5000/team/app"


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.clear()


def make_registry(**values) -> Registry:
    values = {"host": "registry.example.com:5000", "username": "ann", "password": "not-a-real-one", **values}
    return Registry.objects.create(**values)


@pytest.fixture
def answers(monkeypatch):
    """What the registry's client answers in turn: values, or errors to raise."""
    waiting: list[object] = []

    def answer(*_: object) -> object:
        value = waiting.pop(0)
        if isinstance(value, Exception):
            raise value
        return value

    for name in ("check", "may_push"):
        monkeypatch.setattr(f"clusters.registries.RegistryClient.{name}", answer)
    return waiting


@pytest.mark.parametrize(
    ("reference", "host"),
    [
        ("registry.example.com:5000/team/app:1", "registry.example.com:5000"),
        ("Registry.Example.com:5000/team/app", "registry.example.com:5000"),
        ("internal:5000/team/app@sha256:" + "a" * 64, "registry.example.com:5000"),
        ("registry.example.com/team/app", None),
        ("app", "docker.io"),
        ("index.docker.io/library/app", "docker.io"),
        ("bad reference", None),
        ("", None),
    ],
)
def test_registry_is_found_by_the_host_of_a_reference(reference, host):
    make_registry(aliases="internal:5000\nother.example.com")
    make_registry(host="docker.io")
    found = registries.find_registry(reference)
    assert (found.host if found else None) == host


def test_expired_token_is_not_used():
    make_registry(password_expires_at=timezone.now() - timedelta(seconds=1))
    assert "expired on" in registries.find_push_permission(REPOSITORY).reason


def test_test_keeps_the_limit(answers):
    registry = make_registry(problem="old")
    answers.append(PullLimit(100, 76, 21600))
    assert registries.test_registry(registry) == (
        "registry.example.com:5000 answers and accepts the stored credentials. 76 of 100 pulls in 6 hours remain."
    )
    registry.refresh_from_db()
    assert (registry.pull_limit, registry.pull_remaining, registry.pull_window_seconds) == (100, 76, 21600)
    assert (registry.problem, registry.checked_at is None) == ("", False)


def test_failed_test_keeps_problem_and_limit(answers):
    registry = make_registry()
    answers.append(RegistryError("x" * 600, "rate_limited", limit=PullLimit(100, 0, 21600)))
    with pytest.raises(RegistryError):
        registries.test_registry(registry)
    registry.refresh_from_db()
    assert (len(registry.problem), registry.pull_remaining) == (500, 0)


def test_one_test_too_many_is_refused_at_once_and_is_no_outcome(answers):
    registry = make_registry()
    with ExitStack() as others:
        for _ in range(settings.WAITING_REQUESTS_FOR_EACH):
            others.enter_context(wait_for_registry(registry.host))
        with pytest.raises(RegistryError, match="too slowly") as refusal:
            registries.test_registry(registry)
    registry.refresh_from_db()
    assert (refusal.value.code, registry.problem, registry.checked_at) == ("busy", "", None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("helper", ["", "ecr-login"])
def test_no_connection_is_held_while_a_registry_or_a_helper_is_waited_for(pooled, monkeypatch, helper):
    registry, held = make_registry(credential_helper=helper), []

    def answer(*_):
        held.append(pooled())
        return ("ann", "not-a-real-one")

    for name in ("check", "may_push"):
        monkeypatch.setattr(f"clusters.registries.RegistryClient.{name}", lambda *_: answer() and None)
    monkeypatch.setattr(registries, "read_helper_credentials", answer)
    registries.find_push_permission(REPOSITORY)
    registries.test_registry(registry)
    registries.open_access(registry)
    assert held == [False] * (5 if helper else 2)


def test_permission_is_kept_until_the_credentials_change(answers):
    registry = make_registry()
    answers += [False, True]
    assert not registries.find_push_permission(REPOSITORY).allowed
    assert not registries.find_push_permission(REPOSITORY).allowed
    registry.password = "another"
    registry.save()
    assert registries.find_push_permission(REPOSITORY) == PushPermission(True)


def test_permission_is_kept_for_each_repository(answers):
    make_registry()
    answers += [False, True]
    assert not registries.find_push_permission(REPOSITORY).allowed
    assert registries.find_push_permission(f"{REPOSITORY}2").allowed


@pytest.mark.parametrize(
    ("values", "answer", "words"),
    [
        (None, None, ["No registry is stored for registry.example.com:5000.", "may push to team/app"]),
        ({"username": "", "password": ""}, False, ["No credentials are stored", "may push to team/app"]),
        ({}, False, ["does not let 'ann' push to team/app.", "Give the account write permission"]),
        ({}, RegistryError("It did not answer in time.", "timeout"), ["It did not answer in time.", "Try again"]),
        ({}, RegistryError("It refuses ann (401).", "unauthorized"), ["It refuses ann (401).", "Store credentials"]),
        ({}, RegistryError("Bad certificate.", "tls"), ["Bad certificate.", "CA certificate"]),
    ],
)
def test_refused_permission_says_why_and_how_to_mend_it(answers, values, answer, words):
    if values is not None:
        make_registry(**values)
        answers.append(answer)
    permission = registries.find_push_permission(REPOSITORY)
    assert not permission.allowed
    assert all(each in permission.reason for each in words)

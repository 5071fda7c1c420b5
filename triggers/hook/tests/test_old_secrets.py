"""The secret before a rotation: when and from where it was last used, and its end."""

from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.db.models import QuerySet
from django.utils import timezone

from triggers.hook.old_secrets import forget_old_secrets, old_secret_uses
from triggers.models import Trigger
from triggers.tests.calling import PATH, link_parameters
from triggers.tests.factories import TriggerFactory

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def rotated():
    """A trigger, and the parameters of its link before the rotation."""
    trigger = TriggerFactory()
    old = link_parameters(trigger)
    trigger.rotate_secret(HOUR)
    return trigger, old


def read_use():
    return Trigger.objects.values_list("old_secret_used_at", "old_secret_used_from").get()


def test_a_use_is_seen_whatever_the_answer_and_costs_the_caller_no_query(client, rotated, django_assert_num_queries):
    trigger, old = rotated
    Trigger.objects.update(allowed_addresses="198.51.100.1")
    for number in (7, 8):
        with django_assert_num_queries(1):
            assert client.get(PATH, query_params=old, REMOTE_ADDR=f"192.0.2.{number}").status_code == 403
    assert read_use() == (None, None)
    old_secret_uses.store()
    used_at, used_from = read_use()
    assert used_from == "192.0.2.8"
    assert timezone.now() - used_at < timedelta(minutes=1)
    client.get(PATH, query_params=link_parameters(trigger))
    old_secret_uses.store()
    assert read_use() == (used_at, used_from)


def test_a_use_before_a_further_rotation_is_not_taken_for_one_of_the_next_old_secret(client, rotated):
    trigger, old = rotated
    client.get(PATH, query_params=old)
    trigger.rotate_secret(HOUR)
    old_secret_uses.store()
    assert read_use() == (None, None)
    assert client.get(PATH, query_params=old).status_code == 404


def test_a_use_that_the_database_refuses_is_kept(client, rotated, monkeypatch):
    client.get(PATH, query_params=rotated[1])

    def refuse(*_, **__):
        raise DatabaseError

    with monkeypatch.context() as patch:
        patch.setattr(QuerySet, "update", refuse)
        with pytest.raises(DatabaseError):
            old_secret_uses.store()
    old_secret_uses.store()
    assert read_use()[1] == "127.0.0.1"


def test_the_end_now_and_the_end_by_time_forget_it(client, rotated):
    trigger, old = rotated
    assert forget_old_secrets() == 0
    Trigger.objects.update(old_secret_ends_at=timezone.now())
    assert client.get(PATH, query_params=old).status_code == 404
    assert forget_old_secrets() == 1
    trigger.refresh_from_db()
    assert (trigger.old_secret, trigger.old_secret_ends_at, trigger.has_old_secret) == (None, None, False)
    trigger.rotate_secret(HOUR)
    trigger.end_old_secret()
    trigger.refresh_from_db()
    assert trigger.old_secret is None

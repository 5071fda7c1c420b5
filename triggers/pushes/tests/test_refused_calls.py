"""Calls that a trigger's link refuses can be seen at the trigger: what was wrong, and never the secret."""

from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.utils import timezone

from triggers.models import Decision, Delivery, Trigger, TriggerCall
from triggers.pushes import refused_calls as module
from triggers.pushes.refused_calls import REST, ROWS_A_MINUTE, SHARE_A_MINUTE, UNKNOWN, refused_calls
from triggers.tests.calling import PATH, link_parameters
from triggers.tests.factories import ScalingTriggerFactory, TriggerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("stopped_clock")]

SCALE = {"type": "scale_out", "step": "1"}
REFUSED = {
    "wrong secret": (404, "GET", lambda right: {**right, "secret": "0" * 64}, {}, "The secret is wrong."),
    "no secret": (400, "GET", lambda right: {"triggerUrl": right["triggerUrl"]}, {}, "The secret parameter is missing."),
    "cut secret": (400, "GET", lambda right: {**right, "secret": right["secret"][:40]}, {}, "The secret was cut off"),
    "no type": (400, "GET", lambda right: right, {}, "The type parameter is missing"),
    "contradiction": (400, "POST", lambda right: {**right, **SCALE}, {"step": "2"}, "two different values"),
    "embedded": (403, "GET", lambda right: {**right, **SCALE}, {"Sec-Fetch-Dest": "image"}, "as a part of itself (image)"),
    "method": (405, "DELETE", lambda right: {**right, **SCALE}, {}, "DELETE does nothing here"),
    "large": (413, "POST", lambda right: {**right, **SCALE}, {"large": "x" * 2_200_000}, "larger than 2 MB"),
}


def call(client, method, parameters, more):
    headers = {"User-Agent": "Jenkins/2.5"} | (more if method == "GET" else {})
    data = more if method == "POST" else None
    return getattr(client, method.lower())(PATH, data, query_params=parameters, headers=headers)


@pytest.mark.parametrize(("status", "method", "change", "more", "said"), REFUSED.values(), ids=REFUSED)
def test_a_refused_call_is_stored_with_what_was_wrong(client, status, method, change, more, said):
    trigger = ScalingTriggerFactory()
    assert call(client, method, change(link_parameters(trigger)), more).status_code == status
    refused_calls.store()
    row = Delivery.objects.get()
    assert (row.trigger, row.decision, row.source) == (trigger, Decision.REFUSED, Delivery.Source.TRIGGER)
    assert (row.event, row.source_address, row.user_agent) == (f"{method} {status}", "127.0.0.1", "Jenkins/2.5")
    assert said in row.message
    assert (row.body, row.fingerprint) == ("", "")
    assert not TriggerCall.objects.exists()


def test_a_full_queue_and_a_reused_key_are_stored(client, settings):
    parameters = {**link_parameters(ScalingTriggerFactory()), **SCALE}
    headers = {"Idempotency-Key": "build 7"}
    assert client.get(PATH, query_params=parameters, headers=headers).status_code == 200
    assert client.get(PATH, query_params={**parameters, "step": "2"}, headers=headers).status_code == 422
    settings.HOOK_TRIGGER_QUEUE_LIMIT = 1
    assert client.get(PATH, query_params=parameters).status_code == 429
    refused_calls.store()
    assert set(Delivery.objects.values_list("event", flat=True)) == {"GET 422", "GET 429"}


def test_no_secret_is_stored(client):
    trigger = TriggerFactory()
    right = link_parameters(trigger)
    wrong = "1" * 64
    for secret in (trigger.secret[:-1], wrong, f"{trigger.secret}?x"):
        client.get(PATH, query_params={**right, "secret": secret})
    client.post(PATH, {"secret": trigger.secret}, query_params={**right, "secret": wrong})
    refused_calls.store()
    stored = str([list(row.values()) for row in Delivery.objects.values()])
    assert Delivery.objects.count() == 2
    assert trigger.secret[:20] not in stored
    assert wrong not in stored


def test_unknown_links_are_stored_by_address_alone(client):
    trigger = TriggerFactory()
    parameters = link_parameters(trigger)
    trigger.delete()
    assert client.get(PATH, query_params=parameters).status_code == 404
    assert client.get("/hook/registry/unknown").status_code == 404
    assert client.get(PATH, query_params=parameters, REMOTE_ADDR="192.0.2.7").status_code == 404
    assert client.get(PATH, query_params={**parameters, "triggerUrl": "YWJj"}).status_code == 400
    refused_calls.store()
    rows = Delivery.objects.filter(decision=Decision.REFUSED, trigger=None, message=UNKNOWN)
    assert dict(rows.values_list("source_address", "repeated")) == {"127.0.0.1": 1, "192.0.2.7": 0}
    assert Delivery.objects.count() == 2


def test_each_address_has_a_row_of_a_minute(client):
    parameters = {**link_parameters(TriggerFactory()), "secret": "0" * 64}
    for address in ("192.0.2.7", "192.0.2.8", "192.0.2.7"):
        client.get(PATH, query_params=parameters, REMOTE_ADDR=address)
    refused_calls.store()
    assert dict(Delivery.objects.values_list("source_address", "repeated")) == {"192.0.2.7": 1, "192.0.2.8": 0}


@pytest.mark.parametrize("is_known", [True, False])
def test_a_flood_from_many_addresses_leaves_a_share_of_the_minute_and_counts_the_rest(client, is_known):
    parameters = {**link_parameters(TriggerFactory()), "secret": "0" * 64}
    if not is_known:
        Trigger.objects.all().delete()
    for number in range(SHARE_A_MINUTE + 20):
        client.get(PATH, query_params=parameters, REMOTE_ADDR=f"192.0.2.{number}")
    other = TriggerFactory()
    client.get(PATH, query_params={**link_parameters(other), "secret": "0" * 64})
    refused_calls.store()
    assert Delivery.objects.filter(trigger=other).count() == 1
    rows = Delivery.objects.exclude(trigger=other)
    assert rows.count() == SHARE_A_MINUTE + 1
    assert rows.get(message=REST).repeated == 19


@pytest.mark.parametrize("is_known", [True, False])
def test_a_day_has_a_bounded_number_of_rows_and_counts_the_rest(client, monkeypatch, is_known):
    monkeypatch.setattr(module, "ROWS_A_DAY", 5)
    parameters = {**link_parameters(TriggerFactory()), "secret": "0" * 64}
    if not is_known:
        Trigger.objects.all().delete()
    for _ in range(2):
        for number in range(8):
            client.get(PATH, query_params=parameters, REMOTE_ADDR=f"192.0.2.{number}")
        refused_calls.store()
    assert Delivery.objects.count() == 6
    assert Delivery.objects.get(message=REST).repeated == 2 + 3
    assert sum(row.repeated + 1 for row in Delivery.objects.all()) == 16


def test_previews_are_no_refused_calls(client):
    client.get(PATH, query_params=link_parameters(TriggerFactory()), headers={"Sec-Purpose": "prefetch"})
    refused_calls.store()
    assert not Delivery.objects.exists()


def test_a_flood_is_one_row_and_one_write_at_a_time(client, django_assert_num_queries):
    parameters = {**link_parameters(TriggerFactory()), "secret": "0" * 64}
    for _ in range(3):
        with django_assert_num_queries(1):  # the trigger's
            client.get(PATH, query_params=parameters)
    refused_calls.store()
    with django_assert_num_queries(0):
        refused_calls.store()
    client.get(PATH, query_params=parameters)
    with django_assert_num_queries(1):
        refused_calls.store()
    assert (Delivery.objects.get().repeated, Delivery.objects.get().repeated_at is not None) == (3, True)


def test_the_next_minute_has_a_row_of_its_own_and_loses_no_count(client, monkeypatch):
    parameters = {**link_parameters(TriggerFactory()), "secret": "0" * 64}
    for _ in range(3):
        client.get(PATH, query_params=parameters)
    later = timezone.now() + timedelta(minutes=1)
    monkeypatch.setattr(module.timezone, "now", lambda: later)
    for _ in range(2):
        client.get(PATH, query_params=parameters)
    refused_calls.store()
    assert sorted(Delivery.objects.values_list("repeated", flat=True)) == [1, 2]


def test_the_rows_of_a_minute_are_bounded(client, monkeypatch):
    monkeypatch.setattr(module, "ROWS_A_MINUTE", 2)
    assert ROWS_A_MINUTE > 2
    for _ in range(4):
        client.get(PATH, query_params={**link_parameters(TriggerFactory()), "secret": "0" * 64})
    refused_calls.store()
    assert Delivery.objects.count() == 2


def test_two_processes_count_on_one_row(client):
    parameters = {**link_parameters(TriggerFactory()), "secret": "0" * 64}
    for _ in range(2):
        client.get(PATH, query_params=parameters)
        refused_calls.store()
        refused_calls.forget()  # as another process, which knows nothing
    assert Delivery.objects.get().repeated == 1


def test_a_database_that_fails_is_tried_again(client, monkeypatch):
    def fail(*_):
        raise DatabaseError("away")

    for _ in range(2):
        assert client.get(PATH, query_params={**link_parameters(TriggerFactory()), "secret": "0" * 64}).status_code == 404
    with monkeypatch.context() as patch:
        patch.setattr(module, "insert_or_count", fail)
        with pytest.raises(DatabaseError):
            refused_calls.store()
    assert not Delivery.objects.exists()
    refused_calls.store()
    assert Delivery.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_trigger_that_was_deleted_meanwhile_is_passed_over(client):
    gone, stays = TriggerFactory(), TriggerFactory()
    for trigger in (gone, stays):
        client.get(PATH, query_params={**link_parameters(trigger), "secret": "0" * 64})
    gone.delete()
    refused_calls.store()
    assert Delivery.objects.get().trigger == stays

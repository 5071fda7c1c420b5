"""Signed calls: each sender's form is accepted, and everything else is one and the same 401."""

import base64
import json
import time
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from triggers.hook.authentication import has_proof
from triggers.hook.signed_calls import TOLERANCE_SECONDS, decode_key, has_signature
from triggers.links import make_signature_key
from triggers.models import Proof, Signature, TriggerCall
from triggers.pushes.refused_calls import refused_calls
from triggers.tests.calling import PATH, link_parameters
from triggers.tests.factories import ScalingTriggerFactory, TriggerFactory
from triggers.tests.signing import (
    require_signature,
    sign_forgejo,
    sign_gitea,
    sign_github,
    sign_grafana,
    sign_grafana_timed,
    sign_hex,
    sign_standard,
)

pytestmark = pytest.mark.django_db

BODY = b'{"event": "deploy"}'
FORMS = {
    "standard webhooks": sign_standard,
    "github": sign_github,
    "gitea": sign_gitea,
    "forgejo": sign_forgejo,
    "grafana": sign_grafana,
    "grafana with the time": sign_grafana_timed,
}
each_form = pytest.mark.parametrize("sign", FORMS.values(), ids=FORMS)


def post(client, trigger, body=BODY, headers=None, *, with_secret=False, method="POST", **more):
    query = {"triggerUrl": link_parameters(trigger)["triggerUrl"]} | ({"secret": trigger.secret} if with_secret else {}) | more
    return client.generic(method, PATH, body, content_type="application/json", headers=headers or {}, query_params=query)


def assert_refused(response):
    assert (response.status_code, response.json()["reason"]) == (401, "signature")
    assert not TriggerCall.objects.exists()
    assert "X-Hub-Signature-256" in response.json()["message"]


@each_form
def test_each_form_is_accepted_instead_of_the_secret(client, sign):
    trigger = TriggerFactory()
    key = require_signature(trigger)
    assert post(client, trigger, headers=sign(key, BODY)).status_code == 200
    assert TriggerCall.objects.get().proof == Proof.SIGNATURE


@each_form
def test_each_form_is_accepted_besides_the_secret_and_not_without_it(client, sign):
    trigger = TriggerFactory()
    key = require_signature(trigger, Signature.REQUIRED)
    assert post(client, trigger, headers=sign(key, BODY)).status_code == 400
    assert_refused(post(client, trigger, with_secret=True))
    assert post(client, trigger, headers=sign(key, BODY), with_secret=True).status_code == 200
    assert TriggerCall.objects.get().proof == Proof.SECRET


@each_form
def test_another_key_another_body_and_a_cut_signature_are_refused(client, sign):
    trigger = TriggerFactory()
    key = require_signature(trigger)
    right = sign(key, BODY)
    for headers in (
        sign(make_signature_key(), BODY),
        sign(key, BODY + b" "),
        {name: value[:-1] for name, value in right.items()},
        dict.fromkeys(right, ""),
        {},
    ):
        assert_refused(post(client, trigger, headers=headers))
    assert_refused(post(client, trigger, body=BODY[:-1], headers=right))


def test_the_secret_alone_does_not_call_a_link_that_takes_signatures_instead(client):
    trigger = TriggerFactory()
    require_signature(trigger)
    assert_refused(post(client, trigger, with_secret=True))


def test_without_a_key_nothing_is_signed(client):
    trigger = TriggerFactory(signature=Signature.INSTEAD, signature_key=None)
    for sign in (sign_github, sign_grafana_timed):
        assert_refused(post(client, trigger, headers=sign("", BODY)))
    assert_refused(post(client, trigger, headers=sign_standard("whsec_", BODY)))


def test_the_library_of_standard_webhooks_signs_what_is_accepted(client):
    trigger = TriggerFactory()
    judge, now = Webhook(require_signature(trigger)), datetime.now(UTC)
    signature = judge.sign("msg_2", now, BODY.decode())
    headers = {"webhook-id": "msg_2", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    assert post(client, trigger, headers=headers).status_code == 200
    judge.verify(BODY, sign_standard(trigger.signature_key, BODY))


def test_one_of_several_signatures_is_enough_and_many_are_too_many(client):
    trigger = TriggerFactory()
    headers = sign_standard(require_signature(trigger), BODY)
    right, wrong = headers["webhook-signature"], "v1," + base64.b64encode(bytes(32)).decode()
    for given, status in (
        (f"{wrong} v1a,abc {right}", 200),
        (f"{' '.join([wrong] * 10)} {right}", 401),
        (right.replace("v1,", "v2,"), 401),
        (right.removeprefix("v1,"), 401),
        (wrong, 401),
    ):
        assert post(client, trigger, headers=headers | {"webhook-signature": given}).status_code == status, given


@pytest.mark.parametrize("distance", [-TOLERANCE_SECONDS + 30, TOLERANCE_SECONDS - 30])
@pytest.mark.parametrize("sign", [sign_standard, sign_grafana_timed])
def test_a_time_within_five_minutes_is_accepted(client, sign, distance):
    trigger = TriggerFactory()
    headers = sign(require_signature(trigger), BODY, sent_at=int(time.time()) + distance)
    assert post(client, trigger, headers=headers).status_code == 200


@pytest.mark.parametrize("sent_at", [-TOLERANCE_SECONDS - 30, TOLERANCE_SECONDS + 30, "", "now", "1e9", "-1", "٣", "9" * 13])
@pytest.mark.parametrize("sign", [sign_standard, sign_grafana_timed])
def test_another_time_is_refused(client, sign, sent_at):
    trigger = TriggerFactory()
    key = require_signature(trigger)
    sent_at = int(time.time()) + sent_at if isinstance(sent_at, int) else sent_at
    headers = (
        sign(key, BODY, sent_at=sent_at)
        if str(sent_at).isascii()
        else sign(key, BODY) | dict.fromkeys(("webhook-timestamp", "X-Grafana-Alerting-Timestamp"), sent_at)
    )
    assert_refused(post(client, trigger, headers=headers))


@pytest.mark.parametrize("message_id", ["", "a.b", "a b", "é", "x" * 256])
def test_an_id_that_could_be_taken_for_more_is_refused(client, message_id):
    trigger = TriggerFactory()
    assert_refused(post(client, trigger, headers=sign_standard(require_signature(trigger), BODY, message_id)))


def test_a_part_of_the_body_cannot_become_the_time(client):
    trigger = TriggerFactory()
    key, now = require_signature(trigger), int(time.time())
    headers = sign_standard(key, f"{now}.rest".encode(), "msg_1", sent_at=1_000_000_000)
    shifted = headers | {"webhook-id": "msg_1.1000000000", "webhook-timestamp": str(now)}
    assert_refused(post(client, trigger, b"rest", shifted))


def test_a_message_that_was_signed_with_its_time_is_no_message_without_one(client):
    trigger = TriggerFactory()
    signed = b"1000000000:" + BODY
    signature = sign_hex(require_signature(trigger), signed)
    for name in ("X-Hub-Signature-256", "X-Gitea-Signature", "X-Grafana-Alerting-Signature"):
        assert_refused(post(client, trigger, signed, {name: signature}))


class TestWithoutABody:
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_a_signed_time_is_required(self, client, method):
        trigger = TriggerFactory()
        key = require_signature(trigger)
        for sign in (sign_github, sign_gitea, sign_forgejo, sign_grafana):
            assert_refused(post(client, trigger, b"", sign(key, b""), method=method))
        assert post(client, trigger, b"", sign_standard(key, b""), method=method).status_code == 200
        assert post(client, trigger, b"", sign_grafana_timed(key, b""), method=method).status_code == 200


class TestRepeated:
    @each_form
    def test_a_recorded_call_makes_no_second_one(self, client, sign):
        trigger = TriggerFactory()
        headers = sign(require_signature(trigger), BODY)
        first = post(client, trigger, headers=headers)
        for more in ({}, {"Idempotency-Key": "another"}, {"X-GitHub-Delivery": "another"}):
            again = post(client, trigger, headers=headers | more)
            assert again.json()["requestId"] == first.json()["requestId"]
            assert again["Idempotent-Replayed"] == "true"
        assert TriggerCall.objects.count() == 1

    def test_one_signature_in_the_headers_of_others_makes_no_second_call(self, client):
        trigger = TriggerFactory()
        signature = sign_hex(require_signature(trigger), BODY)
        for name in ("X-Hub-Signature-256", "X-Gitea-Signature", "X-Forgejo-Signature", "X-Grafana-Alerting-Signature"):
            assert post(client, trigger, headers={name: signature}).status_code == 200
            assert post(client, trigger, headers={name: f"sha256={signature.upper()}"}).status_code == 200
        assert TriggerCall.objects.count() == 1

    def test_a_recorded_call_with_other_parameters_in_the_address_is_refused(self, client):
        trigger = ScalingTriggerFactory()
        headers = sign_standard(require_signature(trigger), BODY)
        assert post(client, trigger, headers=headers, type="scale_out", step="1").status_code == 200
        assert post(client, trigger, headers=headers, type="scale_out", step="100").status_code == 422
        assert TriggerCall.objects.get().step == 1

    def test_a_new_id_is_a_new_call(self, client):
        trigger = ScalingTriggerFactory()
        key = require_signature(trigger)
        for message_id in ("msg_1", "msg_2"):
            headers = sign_standard(key, BODY, message_id)
            assert post(client, trigger, headers=headers, type="scale_out", step="1").status_code == 200
        assert sorted(TriggerCall.objects.values_list("delivery_id", flat=True)) == ["msg_1", "msg_2"]

    @pytest.mark.parametrize("start", ['"startsAt": "2026-01-01T00:00:00Z"', ""], ids=["with a start", "without"])
    def test_a_recorded_alert_makes_no_second_call(self, client, start):
        trigger = TriggerFactory()
        body = f'{{"status": "firing", "alerts": [{{"status": "firing", "labels": {{"alertname": "x"}}, {start}}}]}}'
        body = body.replace(", }", "}").encode()
        headers = sign_grafana(require_signature(trigger), body)
        for _ in range(2):
            assert post(client, trigger, body, headers).status_code == 200
        assert TriggerCall.objects.count() == 1

    def test_a_package_that_is_sent_again_with_another_event_id_makes_no_second_call(self, client):
        trigger = TriggerFactory()
        package = {"name": "app", "owner": {"login": "team"}, "package_type": "CONTAINER"}
        version = {
            "container_metadata": {"tag": {"name": "1", "digest": "sha256:" + "1" * 64}},
            "package_url": "ghcr.io/team/app:1",
        }
        body = json.dumps({"action": "published", "package": package | {"package_version": version}}).encode()
        headers = sign_github(require_signature(trigger), body) | {"X-GitHub-Event": "package"}
        for event_id in ("1", "2"):
            post(client, trigger, body, headers | {"X-GitHub-Delivery": event_id})
        assert TriggerCall.objects.count() <= 1


def test_the_body_is_signed_as_it_was_sent(client):
    trigger = TriggerFactory()
    key, body = require_signature(trigger), b"\x1f\x8b not gzip at all \xff\x00"
    headers = sign_github(key, body) | {"Content-Encoding": "gzip"}
    assert post(client, trigger, body, headers).status_code == 200


def test_a_body_over_the_limit_is_refused_before_it_is_hashed(client, settings):
    settings.HOOK_BODY_LIMIT = 100
    trigger, body = TriggerFactory(), b"x" * 101
    assert post(client, trigger, body, sign_github(require_signature(trigger), body)).status_code == 413


def test_a_refused_call_is_seen_at_the_trigger(client):
    refused_calls.forget()
    trigger = TriggerFactory()
    require_signature(trigger)
    post(client, trigger)
    refused_calls.store()
    delivery = trigger.deliveries.get()
    assert (delivery.event, delivery.is_refused_call) == ("POST 401", True)


def test_an_unused_signature_costs_no_query(client, django_assert_num_queries):
    trigger = TriggerFactory()
    parameters = link_parameters(trigger)
    client.get(PATH, query_params=parameters)
    TriggerCall.objects.all().delete()
    with django_assert_num_queries(1):
        client.get(PATH, query_params=parameters | {"secret": "0" * 64}, headers={"Authorization": "Bearer a.b.c"})


def test_what_counts_as_a_key_of_standard_webhooks():
    assert len(decode_key(make_signature_key())) == 32
    assert [decode_key(key) for key in ("whsec_", "whsec_é", "whsec_a", "whsec_!!!!")] == [b""] * 4
    assert not has_signature({"webhook-id": "1"})


def test_a_large_body_is_read_for_whoever_has_the_secret_and_not_for_a_signature_alone(rf):
    """What has_proof says decides whether more than 64 kB are read (console.server.admission)."""
    trigger = TriggerFactory()
    for mode, with_secret, expected in (
        (Signature.REQUIRED, True, True),
        (Signature.REQUIRED, False, False),
        (Signature.INSTEAD, True, True),
        (Signature.INSTEAD, False, False),
    ):
        key = require_signature(trigger, mode)
        query = {"triggerUrl": link_parameters(trigger)["triggerUrl"]} | ({"secret": trigger.secret} if with_secret else {})
        request = rf.post(PATH, query_params=query, headers=sign_github(key, BODY) | {"Authorization": "Bearer a.b.c"})
        assert has_proof(request) is expected, (mode, with_secret)

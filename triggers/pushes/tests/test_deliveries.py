"""From a registry's message over HTTP to calls and the access log."""

import gzip
import io
import json
import logging.config
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone

from clusters.models import Application, Registry
from clusters.tests.factories import ServiceFactory
from clusters.tests.users import make_user
from triggers.hook.waiting import waiters
from triggers.models import CallState, Decision, Delivery, DeliveryLine, ImageSubscription, Trigger, TriggerCall
from triggers.payloads import senders
from triggers.payloads.tests.small_senders import SENDERS, sign
from triggers.pushes import deliveries
from triggers.pushes.deliveries import prune_deliveries, replay_delivery
from triggers.tests.calling import link_parameters
from triggers.tests.factories import ScalingTriggerFactory, TriggerFactory

pytestmark = pytest.mark.django_db
HOST = "registry.example.com:5000"
APP = f"{HOST}/team/app"
OLD, NEW, NEWER = ("sha256:" + digit * 64 for digit in "123")


@pytest.fixture(autouse=True)
def _world(published, monkeypatch):
    monkeypatch.setattr(senders, "SENDERS", SENDERS)


@pytest.fixture
def client():
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def registry():
    return Registry.objects.create(host=HOST, aliases="internal:5000")


def make_trigger(image=f"{APP}:1", digest=OLD, subscribed=APP, condition="service_tag", **fields):
    trigger = TriggerFactory(**fields)
    ServiceFactory(application=trigger.application, image=image, image_digests=[f"x@{digest}"])
    if subscribed:
        ImageSubscription.objects.create(trigger=trigger, repository=subscribed, condition=condition)
    return trigger


def message(*pushes, sender="harbor", **more):
    """Pushes as (name, tag, digest)."""
    named = [dict(zip(("name", "tag", "digest"), push, strict=False)) for push in pushes]
    return json.dumps({"sender": sender, "pushes": named, **more})


def push(tag="1", digest=NEW, name="team/app", **more):
    return message((name, tag, digest), **more)


def send(client, registry, body, method="post", **options):
    path = f"/hook/registry/{registry.hook_token}"
    return getattr(client, method)(path, body, content_type=options.pop("content_type", "application/json"), **options)


def decisions(response):
    assert response.status_code == 200, response.content
    return [line["decision"] for line in response.json()["lines"]]


def end_calls(state=CallState.SUCCEEDED):
    TriggerCall.objects.filter(state__in=("queued", "running")).update(state=state, completed_at=timezone.now())


class TestAnswer:
    def test_a_push_is_a_call_and_a_line_of_the_access_log(self, client, registry):
        trigger = make_trigger()
        response = send(client, registry, push(), headers={"User-Agent": "Go\x01 agent" + "x" * 400})
        call, delivery = trigger.calls.get(), Delivery.objects.get()
        body = response.json()
        assert (body["code"], body["requestId"], body["deliveryId"]) == ("200", None, str(delivery.pk))
        line = {"image": APP, "tag": "1", "digest": NEW, "decision": "triggered", "requestId": str(call.pk)}
        assert body["lines"] == [line | {"message": f"{trigger.application.name} is redeployed."}]
        assert body["message"] == body["lines"][0]["message"]
        assert (call.source, call.action, call.service_id, call.tag) == ("registry", "redeploy", None, "")
        assert (delivery.source, delivery.sender, delivery.event, delivery.decision) == (
            *("registry", "harbor", "push", "triggered"),
        )
        assert (delivery.registry, delivery.trigger, delivery.source_address) == (registry, None, "127.0.0.1")
        assert delivery.user_agent.startswith("Go agent")
        assert trigger.secret not in response.content.decode()
        assert response["Cache-Control"] == "no-store"

    @pytest.mark.parametrize("method", ["get", "post", "put"])
    @pytest.mark.parametrize("slash", ["", "/"])
    def test_get_post_and_put_act_with_and_without_a_trailing_slash(self, client, registry, method, slash):
        trigger = make_trigger()
        response = client.generic(method.upper(), f"/hook/registry/{registry.hook_token}{slash}", push(), "application/json")
        assert decisions(response) == ["triggered"]
        assert trigger.calls.count() == 1

    @pytest.mark.parametrize("method", ["head", "options", "patch", "delete"])
    def test_other_methods_do_nothing(self, client, registry, method):
        make_trigger()
        assert client.generic(method.upper(), f"/hook/registry/{registry.hook_token}", push()).status_code == 405
        assert not Delivery.objects.exists()

    def test_an_unknown_token_is_an_unknown_trigger_and_leaves_no_row(self, client, registry):
        trigger = TriggerFactory()
        unknown = client.get("/hook/trigger", query_params={**link_parameters(trigger), "secret": "0" * 64})
        old = registry.hook_token
        registry.rotate_token()
        for token in ("0" * 48, old, "é", "%00", registry.hook_key):
            response = client.post(f"/hook/registry/{token}", push(), content_type="application/json")
            assert (response.status_code, response.content) == (404, unknown.content)
        assert not Delivery.objects.exists()

    @pytest.mark.parametrize(
        ("body", "content_type"),
        [
            (b"", "application/json"),
            (b"{not json", "application/json"),
            (b"[1,2]", "application/json"),
            (b"\xff\xfe\x00", "text/plain"),
            (b'{"sender": "nobody", "x": "\\u0000\\ud800"}', "application/json"),
            (b"payload=%7B%7D&x=%00", "application/x-www-form-urlencoded"),
            (b"[" * 100_000, "application/json"),
        ],
    )
    def test_what_nobody_knows_is_answered_and_kept(self, client, registry, body, content_type):
        response = send(client, registry, body, content_type=content_type)
        assert (response.status_code, response.json()["lines"]) == (200, [])
        assert Delivery.objects.get().decision == "unreadable"

    def test_a_forms_payload_and_a_gzipped_body_are_understood(self, client, registry):
        trigger = make_trigger()
        form = send(client, registry, "payload=" + push(), content_type="application/x-www-form-urlencoded")
        assert decisions(form) == ["triggered"]
        zipped = gzip.compress(push(digest=NEWER).encode())
        assert decisions(send(client, registry, zipped, headers={"Content-Encoding": "gzip"})) == ["triggered"]
        assert trigger.calls.count() == 2

    @pytest.mark.parametrize("body", [b"x" * (2 * 1024 * 1024 + 1), gzip.compress(b" " * (9 * 1024 * 1024))])
    def test_too_large_a_body_is_a_413(self, client, registry, body):
        headers = {"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
        response = send(client, registry, body, headers=headers)
        assert (response.status_code, response.json()["code"]) == (413, "413")
        assert not Delivery.objects.exists()

    def test_a_database_that_does_not_answer_is_a_503_without_half_a_delivery(self, client, registry, monkeypatch):
        make_trigger()

        def refuse(*_):
            raise DatabaseError("database is locked")

        monkeypatch.setattr(deliveries, "store_delivery", refuse)
        response = send(client, registry, push())
        assert (response.status_code, response["Retry-After"]) == (503, "5")
        assert not TriggerCall.objects.exists()

    def test_the_log_holds_no_token(self, client, registry):
        stream = io.StringIO()
        handler = {"class": "logging.StreamHandler", "formatter": "line", "stream": stream}
        logging.config.dictConfig({**django_settings.LOGGING, "handlers": {"stderr": handler}})
        try:
            send(client, registry, push())
            logging.getLogger("library").error("Service Unavailable: %s", f"/hook/registry/{registry.hook_token}/")
        finally:
            logging.config.dictConfig(django_settings.LOGGING)
        assert stream.getvalue().count("/hook/registry/…") == 2
        assert registry.hook_token not in stream.getvalue()


class TestDecisions:
    @pytest.mark.parametrize(
        ("body", "trigger", "decision"),
        [
            (push(), {}, "triggered"),
            (push(digest=OLD), {}, "unchanged"),
            (push(tag="2"), {}, "tag"),
            (push(tag=""), {}, "tag"),
            (push(tag=NEW), {}, "tag"),
            (push(name="team/other"), {}, "image"),
            (push(name="10.1.1.1:5000/Team/App"), {}, "triggered"),
            (push(name="quay.io/team/app", sender="relay"), {}, "image"),
            (push(name="internal:5000/team/app", sender="relay"), {}, "triggered"),
            (push(), {"image": "internal:5000/team/app:1", "subscribed": "internal:5000/team/app"}, "triggered"),
            (push(), {"image": f"{APP}:1@{OLD}"}, "image"),
            (push(tag="2"), {"condition": "every"}, "triggered"),
            (push(name="a b"), {}, "unreadable"),
            (push(), {"enabled": False}, "rejected"),
            (push(), {"application__protected": True}, "rejected"),
            (message(), {}, None),
            (message(passed_over=["team/app was deleted."]), {}, "unsupported"),
        ],
    )
    def test_each_is_answered_at_once_and_kept(self, client, registry, body, trigger, decision):
        row = make_trigger(**trigger)
        assert decisions(send(client, registry, body)) == ([decision] if decision else [])
        assert Delivery.objects.get().decision == (decision or "unsupported")
        called = row.calls.exclude(state=CallState.REJECTED).exists()
        assert called == (decision == "triggered")

    def test_what_a_sender_tells_is_cut_and_cleaned(self, client, registry):
        long = "\0\ud800\n" + "x" * 3000
        body = message(
            (long, long, "a" * 200 + ":" + "1" * 64), ("team/app", "1", long), event=long, id=long, passed_over=[long]
        )
        assert decisions(send(client, registry, body)) == ["unreadable", "image", "unsupported"]
        delivery = Delivery.objects.get()
        for row in (delivery, *delivery.lines.all()):
            row.full_clean(exclude=["registry"])
            for name in ("event", "delivery_id", "body", "message", "image", "tag", "digest"):
                assert "\0" not in str(getattr(row, name, ""))

    def test_a_cool_down_and_a_full_queue_are_told_and_a_later_message_counts(self, client, registry, settings):
        trigger = make_trigger(cooldown_seconds=60)
        assert decisions(send(client, registry, push(id="d"))) == ["triggered"]
        end_calls()
        TriggerCall.objects.update(completed_at=timezone.now() - timedelta(minutes=1))
        assert decisions(send(client, registry, push(digest=NEWER, id="e"))) == ["rejected"]
        Trigger.objects.update(cooldown_seconds=0)
        settings.HOOK_TRIGGER_QUEUE_LIMIT = 0
        assert decisions(send(client, registry, push(digest=NEWER, id="e"))) == ["rejected"]
        settings.HOOK_TRIGGER_QUEUE_LIMIT = 9
        assert decisions(send(client, registry, push(digest=NEWER, id="e"))) == ["triggered"]
        assert trigger.calls.filter(state=CallState.QUEUED).count() == 1

    def test_every_trigger_that_is_concerned_has_a_line(self, client, registry):
        triggers = [make_trigger(), make_trigger(digest=NEW), make_trigger(image=f"{APP}:2")]
        ScalingTriggerFactory(application=triggers[2].application)
        response = send(client, registry, push())
        assert decisions(response) == ["triggered", "unchanged", "tag"]
        assert list(DeliveryLine.objects.values_list("trigger", flat=True)) == [trigger.pk for trigger in triggers]
        assert Delivery.objects.get().decision == "triggered"

    def test_a_service_triggers_only_for_what_its_own_service_runs(self, client, registry):
        trigger = make_trigger()
        other = ServiceFactory(application=trigger.application, image=f"{APP}:2")
        Trigger.objects.update(service=other)
        assert decisions(send(client, registry, message(("team/app", "1", NEW), ("team/app", "2", NEW)))) == [
            "tag",
            "triggered",
        ]
        assert trigger.calls.get().service == other

    def test_what_is_gone_from_the_engine_runs_nothing(self, client, registry):
        trigger = make_trigger()
        trigger.application.services.update(status=Application.Status.ABSENT)
        assert decisions(send(client, registry, push())) == ["image"]

    def test_an_allowed_tag_goes_with_the_call_to_the_services_of_that_repository(self, client, registry):
        trigger = make_trigger(condition="every", tag_pattern="[0-9]+")
        other = ServiceFactory(application=trigger.application, image="postgres:16")
        assert decisions(send(client, registry, push(tag="2"))) == ["triggered"]
        call = trigger.calls.get()
        assert (call.tag, call.service.image) == ("2", f"{APP}:1")
        other.delete()
        assert decisions(send(client, registry, push(tag="3"))) == ["triggered"]
        assert set(trigger.calls.values_list("tag", "service__image")) == {("2", f"{APP}:1"), ("3", None)}


class TestSignatures:
    @pytest.mark.parametrize("signature", [None, "", "0" * 64, "é", "sha256=", "x" * 9000])
    def test_a_missing_wrong_or_malformed_one_is_refused(self, client, registry, signature):
        trigger = make_trigger()
        Registry.objects.filter().update(signing_secret="quill")
        headers = {} if signature is None else {"X-Signature": signature}
        response = send(client, registry, push(), headers=headers)
        assert (response.status_code, response.json()["code"], response.json()["lines"]) == (401, "401", [])
        assert "missing" in response.json()["message"] if signature is None else "wrong" in response.json()["message"]
        assert Delivery.objects.get().decision == Decision.SIGNATURE
        assert not trigger.calls.exists()

    def test_a_right_one_counts_and_so_does_a_second_try_of_a_refused_delivery(self, client, registry):
        make_trigger()
        Registry.objects.filter().update(signing_secret="quill")
        body = push(id="d")
        assert send(client, registry, body, headers={"X-Signature": sign(body.encode(), "other")}).status_code == 401
        assert decisions(send(client, registry, body, headers={"X-Signature": sign(body.encode(), "quill")})) == ["triggered"]

    def test_a_sender_that_cannot_sign_is_believed_at_a_registry_of_its_own_kind_alone(self, client, registry):
        make_trigger()
        Registry.objects.filter().update(signing_secret="quill", kind="harbor")
        assert send(client, registry, push(sender="quay")).status_code == 401
        Registry.objects.filter().update(kind="quay")
        assert decisions(send(client, registry, push(sender="quay"))) == ["triggered"]
        assert send(client, registry, push(digest=NEWER)).status_code == 401

    def test_an_empty_secret_authenticates_nothing(self, client, registry):
        body = push()
        assert decisions(send(client, registry, body, headers={"X-Signature": sign(body.encode(), "")})) == ["image"]


class TestRepetitions:
    def test_by_the_senders_id_also_when_the_call_has_ended(self, client, registry):
        trigger = make_trigger()
        for _ in range(3):
            send(client, registry, push(digest="", id="d-1"))
            end_calls()
        assert list(Delivery.objects.order_by("received_at").values_list("decision", flat=True)) == [
            *("triggered", "duplicate", "duplicate"),
        ]
        assert set(DeliveryLine.objects.values_list("call", flat=True)) == {trigger.calls.get().pk}

    def test_by_an_equal_body_with_a_digest_within_ten_minutes(self, client, registry):
        make_trigger()
        assert decisions(send(client, registry, push())) == ["triggered"]
        end_calls()
        assert decisions(send(client, registry, push())) == ["duplicate"]
        Delivery.objects.update(received_at=timezone.now() - timedelta(minutes=11))
        assert decisions(send(client, registry, push())) == ["triggered"]

    def test_by_a_call_that_waits_or_runs(self, client, registry):
        make_trigger()
        assert decisions(send(client, registry, push(n=1))) == ["triggered"]
        assert decisions(send(client, registry, push(n=2))) == ["duplicate"]
        TriggerCall.objects.update(state=CallState.RUNNING)
        assert decisions(send(client, registry, push(n=3))) == ["duplicate"]
        end_calls(CallState.FAILED)
        assert decisions(send(client, registry, push(n=4))) == ["triggered"]

    def test_without_a_digest_a_running_call_may_have_pulled_before(self, client, registry):
        make_trigger()
        assert decisions(send(client, registry, push(digest=""))) == ["triggered"]
        assert decisions(send(client, registry, push(digest=""))) == ["duplicate"]
        TriggerCall.objects.update(state=CallState.RUNNING)
        assert decisions(send(client, registry, push(digest=""))) == ["triggered"]

    def test_a_digest_that_comes_back_after_another_is_news(self, client, registry):
        trigger = make_trigger()
        for digest in (NEW, NEWER, NEW):
            assert decisions(send(client, registry, push(digest=digest))) == ["triggered"]
            end_calls()
        assert trigger.calls.count() == 3

    def test_what_runs_does_not_count_while_a_redeploy_changes_it(self, client, registry):
        trigger = make_trigger()
        assert decisions(send(client, registry, push())) == ["triggered"]
        TriggerCall.objects.update(state=CallState.RUNNING)
        assert decisions(send(client, registry, push(digest=OLD))) == ["triggered"]
        TriggerCall.objects.update(state=CallState.SUCCEEDED, completed_at=timezone.now())
        assert decisions(send(client, registry, push(digest=OLD, n=2))) == ["triggered"]  # not seen by the inventory yet
        end_calls()
        trigger.application.cluster.__class__.objects.update(synced_at=timezone.now())
        assert decisions(send(client, registry, push(digest=OLD, n=3))) == ["unchanged"]

    def test_a_multi_arch_push_of_many_events_is_one_call(self, client, registry):
        trigger = make_trigger()
        parts = [push(tag="", digest=f"sha256:{number:064x}", id=f"p{number}") for number in range(6)]
        index = push(id="index")
        for body in (*parts[:3], index, *parts[3:], index, push(id="again")):
            send(client, registry, body)
        assert trigger.calls.count() == 1
        whole = [("team/app", "", f"sha256:{number:064x}") for number in range(4)] + [("team/app", "1", NEWER)] * 3
        assert sorted(decisions(send(client, registry, message(*whole)))) == ["tag"] * 4 + ["triggered"]

    def test_twenty_pushes_are_at_most_one_waiting_call_beside_the_running_one(self, client, registry):
        trigger = make_trigger()
        for number in range(20):
            assert decisions(send(client, registry, push(digest=f"sha256:{number + 100:064x}"))) == ["triggered"]
            if not number:
                TriggerCall.objects.update(state=CallState.RUNNING)
        states = list(trigger.calls.order_by("queued_at").values_list("state", flat=True))
        assert states == ["running", "queued", *["coalesced"] * 18]

    def test_very_many_images_of_one_message_are_cut(self, client, registry):
        pushes = [(f"team/app{number}", "1", NEW) for number in range(150)]
        found = decisions(send(client, registry, message(*pushes)))
        assert (found.count("image"), found.count("unsupported")) == (100, 1)


class TestOwnLink:
    @pytest.mark.parametrize(
        ("name", "tag", "digest", "subscribed", "decision"),
        [
            (APP, "1", NEW, "", "triggered"),
            ("internal:5000/team/app", "1", NEW, "", "triggered"),
            ("team/app", "1", NEW, "", "triggered"),
            ("team/app", "1", OLD, "", "unchanged"),
            ("team/app", "2", NEW, "", "tag"),
            ("quay.io/team/app", "1", NEW, "", "image"),
            ("app", "1", NEW, "", "image"),
            (APP, "1", NEW, "docker.io/library/postgres", "image"),
            (APP, "1", NEW, APP, "triggered"),
        ],
    )
    def test_a_senders_message_is_understood(self, client, registry, name, tag, digest, subscribed, decision):
        trigger = make_trigger(subscribed=subscribed)
        body = push(name=name, tag=tag, digest=digest)
        query = link_parameters(trigger)
        response = client.post("/hook/trigger", body, content_type="application/json", query_params=query)
        assert decisions(response) == [decision]
        called = trigger.calls.first()
        assert response.json()["requestId"] == (str(called.pk) if called else None)
        assert (called is not None) == (decision == "triggered")
        if called:
            assert (response.json()["state"], called.source) == ("queued", "registry")
            assert "statusUrl" in response.json()
        elif decision != "unchanged":
            assert response.json()["message"].startswith("Not triggered: ")
        assert Delivery.objects.get().trigger == trigger

    def test_other_bodies_and_scaling_links_stay_plain_calls(self, client, registry):
        trigger, scaling = make_trigger(), ScalingTriggerFactory()
        for body in (b"{}", b'{"sender": "nobody"}', b"text", b""):
            query = link_parameters(trigger)
            response = client.post("/hook/trigger", body, content_type="application/json", query_params=query)
            assert response.json()["requestId"]
        query = {**link_parameters(scaling), "type": "scale_out", "step": "1"}
        assert client.post("/hook/trigger", push(), content_type="application/json", query_params=query).json()["requestId"]
        assert not Delivery.objects.exists()
        assert set(TriggerCall.objects.values_list("source", flat=True)) == {"hook"}

    def test_waiting_answers_with_the_verdict(self, client, registry, monkeypatch):
        trigger = make_trigger()
        monkeypatch.setattr(waiters, "wait_for_end", lambda *_: end_calls(CallState.FAILED))
        query = {**link_parameters(trigger), "wait": "5"}
        response = client.post("/hook/trigger", push(), content_type="application/json", query_params=query)
        assert (response.status_code, response.json()["lines"][0]["decision"]) == (500, "triggered")

    def test_the_link_alone_may_stand_in_the_body(self, client, registry):
        trigger = make_trigger()
        body = json.dumps({**json.loads(push()), **link_parameters(trigger)})
        assert decisions(client.post("/hook/trigger", body, content_type="application/json")) == ["triggered"]


class TestReplay:
    def test_decides_again_without_signature_or_duplicate(self, client, registry):
        trigger = make_trigger()
        send(client, registry, push(id="d", passed_over=["Something was deleted."]))
        first, user = Delivery.objects.get(), make_user("ann")
        end_calls()
        Registry.objects.filter().update(signing_secret="quill")
        second = replay_delivery(first, user)
        assert (second.source, second.replay_of, second.decision, second.sender) == ("replay", first, "triggered", "harbor")
        assert [line.decision for line in second.lines.all()] == ["triggered"]
        assert trigger.calls.get(requested_by=user).source == "registry"
        end_calls()
        trigger.application.services.update(image_digests=[f"x@{NEW}"])
        trigger.application.cluster.__class__.objects.update(synced_at=timezone.now())
        assert replay_delivery(second, user).decision == "unchanged"

    def test_of_what_holds_no_image_or_came_to_a_link_that_is_gone(self, client, registry):
        send(client, registry, b"?")
        assert replay_delivery(Delivery.objects.get(), make_user("ann")).decision == "unreadable"
        Delivery.objects.all().delete()
        trigger, other = make_trigger(), make_trigger()
        client.post("/hook/trigger", push(name=APP), content_type="application/json", query_params=link_parameters(trigger))
        trigger.delete()
        replay = replay_delivery(Delivery.objects.get(), make_user("bob"))
        assert replay_delivery(replay, make_user("cid")).decision == "image"
        assert not other.calls.exists()


class TestKeepingHouse:
    def test_old_and_surplus_deliveries_go_with_their_lines(self, client, registry, settings):
        settings.DELIVERY_RETENTION_DAYS, settings.DELIVERY_RETENTION_COUNT = 30, 2
        for number in range(4):
            send(client, registry, push(n=number))
            Delivery.objects.filter(received_at__gt=timezone.now() - timedelta(hours=1)).update(
                received_at=timezone.now() - timedelta(days=40 - 10 * number)
            )
        assert prune_deliveries() == 2
        assert (Delivery.objects.count(), DeliveryLine.objects.count()) == (2, 2)
        settings.DELIVERY_RETENTION_DAYS = 15
        assert prune_deliveries() == 1


def test_the_answer_takes_a_bounded_number_of_queries(client, registry, django_assert_num_queries):
    """Registry; begin; hosts; subscriptions; changing; services; newest line; id; call: savepoint, id, covering, queue
    length, insert, release; delivery; lines; commit; lines for the answer."""
    make_trigger()
    for _ in range(5):
        make_trigger(image="other:1", subscribed="docker.io/library/other")
    with django_assert_num_queries(8):
        assert decisions(send(client, registry, push(name="team/none", id="a"))) == ["image"]
    with django_assert_num_queries(18 + 2 * connection.features.has_select_for_update):
        assert decisions(send(client, registry, push(id="b"))) == ["triggered"]

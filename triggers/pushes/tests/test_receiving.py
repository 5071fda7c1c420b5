"""Requests at a registry's inbound link and at a trigger's own link: answers, signatures, replays."""

import gzip
import io
import json
import logging.config
import threading

import pytest
from django.conf import settings as django_settings
from django.db import DatabaseError, connection
from django.utils import timezone

from clusters.models import Registry
from clusters.tests.users import make_user
from triggers.hook.waiting import waiters
from triggers.models import CallState, Decision, Delivery, TriggerCall
from triggers.payloads.tests.small_senders import sign
from triggers.pushes import settling
from triggers.pushes.receiving import Message, replay_delivery
from triggers.pushes.tests.messages import APP, NEW, NEWER, OLD, decisions, end_calls, make_trigger, message, push, send
from triggers.tests.calling import link_parameters
from triggers.tests.factories import ScalingTriggerFactory, TriggerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small_senders")]


def test_a_message_that_takes_long_to_read_holds_up_no_other_message():
    """A thread that reads a message waits for the interpreter's turn, with megabytes of JSON for a second."""

    class SlowSender:
        is_asked, is_done = threading.Event(), threading.Event()

        def read(self, headers, body):
            self.is_asked.set()
            assert self.is_done.wait(30)

    class QuickSender:
        def read(self, headers, body):
            return None

    slow = SlowSender()
    first = threading.Thread(target=lambda: Message({}, b"{}", {}, slow).payload)
    second = threading.Thread(target=lambda: Message({}, b"{}", {}, QuickSender()).payload)
    first.start()
    assert slow.is_asked.wait(5)
    second.start()
    second.join(5)
    is_held_up = second.is_alive()
    slow.is_done.set()
    first.join(5)
    assert not is_held_up


class TestAnswer:
    def test_a_push_makes_a_call_and_a_line_of_the_delivery(self, client, registry):
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
            "registry",
            "harbor",
            "push",
            "triggered",
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
    def test_an_unknown_message_is_answered_and_stored(self, client, registry, body, content_type):
        response = send(client, registry, body, content_type=content_type)
        assert (response.status_code, response.json()["lines"]) == (200, [])
        assert Delivery.objects.get().decision == "unreadable"

    def test_a_form_and_a_gzipped_body_are_read(self, client, registry):
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

        monkeypatch.setattr(settling, "store_delivery", refuse)
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


class TestSignatures:
    @pytest.mark.parametrize("signature", [None, "", "0" * 64, "é", "sha256=", "x" * 9000])
    def test_a_missing_wrong_or_malformed_signature_is_refused(self, client, registry, signature):
        trigger = make_trigger()
        Registry.objects.filter().update(signing_secret="quill")
        headers = {} if signature is None else {"X-Signature": signature}
        response = send(client, registry, push(), headers=headers)
        assert (response.status_code, response.json()["code"], response.json()["lines"]) == (401, "401", [])
        assert "missing" in response.json()["message"] if signature is None else "wrong" in response.json()["message"]
        assert Delivery.objects.get().decision == Decision.SIGNATURE
        assert not trigger.calls.exists()

    def test_a_right_signature_counts_also_after_a_refused_attempt(self, client, registry):
        make_trigger()
        Registry.objects.filter().update(signing_secret="quill")
        body = push(id="d")
        assert send(client, registry, body, headers={"X-Signature": sign(body.encode(), "other")}).status_code == 401
        assert decisions(send(client, registry, body, headers={"X-Signature": sign(body.encode(), "quill")})) == ["triggered"]

    def test_a_sender_that_cannot_sign_is_trusted_only_at_a_registry_of_its_own_kind(self, client, registry):
        make_trigger()
        Registry.objects.filter().update(signing_secret="quill", kind="harbor")
        assert send(client, registry, push(sender="quay")).status_code == 401
        Registry.objects.filter().update(kind="quay")
        assert decisions(send(client, registry, push(sender="quay"))) == ["triggered"]
        assert send(client, registry, push(digest=NEWER)).status_code == 401

    def test_an_empty_secret_authenticates_nothing(self, client, registry):
        body = push()
        assert decisions(send(client, registry, body, headers={"X-Signature": sign(body.encode(), "")})) == ["image"]


class TestSignedMeansSigned:
    """Whoever knows one registry's link cannot speak in the name of another one that signs its messages."""

    SIGNED = "signed.example.com"

    @pytest.fixture
    def signing(self):
        return Registry.objects.create(host=self.SIGNED, aliases="signed.internal:5000", signing_secret="quill")

    @pytest.fixture
    def trigger(self, signing):
        return make_trigger(image=f"{self.SIGNED}/team/app:1", subscribed=f"{self.SIGNED}/team/app")

    @pytest.mark.parametrize("sender", ["harbor", "relay", "quay"])
    @pytest.mark.parametrize("host", [SIGNED, "signed.internal:5000", "SIGNED.example.com"])
    @pytest.mark.parametrize("own_secret", ["", "pen"])
    def test_another_registrys_link_does_not_count(self, client, registry, trigger, sender, host, own_secret):
        Registry.objects.filter(pk=registry.pk).update(signing_secret=own_secret)
        body = push(name=f"{host}/team/app", sender=sender)
        response = send(client, registry, body, headers={"X-Signature": sign(body.encode(), "pen")})
        assert (response.status_code, response.json()["code"]) == (401, "401")
        (line,) = response.json()["lines"]
        assert (line["image"], line["decision"]) == (f"{self.SIGNED}/team/app", "bad_signature")
        assert (
            line["message"]
            == response.json()["message"]
            == (
                "Not triggered: a signing secret is stored for signed.example.com, and the message is not signed with it. "
                "Pushes to signed.example.com count at its own inbound link."
            )
        )
        assert not trigger.calls.exists()
        delivery = Delivery.objects.get()
        assert (delivery.decision, [line.decision for line in delivery.lines.all()]) == ("bad_signature", ["bad_signature"])
        assert replay_delivery(delivery, make_user("ann")).decision == "unreadable"
        assert not trigger.calls.exists()

    def test_a_relay_that_signs_with_the_others_own_secret_is_believed(self, client, registry, trigger):
        body = push(name=f"{self.SIGNED}/team/app", sender="relay")
        assert decisions(send(client, registry, body, headers={"X-Signature": sign(body.encode(), "quill")})) == ["triggered"]
        assert trigger.calls.count() == 1

    def test_its_own_link_counts_by_any_of_its_names(self, client, signing, trigger):
        for number, host in enumerate((self.SIGNED, "signed.internal:5000")):
            body = push(name=f"{host}/team/app", digest=(NEW, NEWER)[number])
            assert send(client, signing, body).status_code == 401
            assert decisions(send(client, signing, body, headers={"X-Signature": sign(body.encode(), "quill")})) == [
                "triggered"
            ]

    def test_what_else_a_message_names_is_still_decided(self, client, registry, trigger):
        mine = make_trigger()
        other = make_trigger(image="plain.example.com/app:1", subscribed="plain.example.com/app")
        Registry.objects.create(host="plain.example.com")
        names = (f"{self.SIGNED}/team/app", APP, "plain.example.com/app")
        body = message(*((name, "1", NEW) for name in names), sender="relay")
        response = send(client, registry, body)
        assert sorted(decisions(response)) == ["bad_signature", "triggered", "triggered"]
        assert [row.calls.count() for row in (trigger, mine, other)] == [0, 1, 1]
        replay = replay_delivery(Delivery.objects.get(), make_user("ann"))
        assert sorted(replay.lines.values_list("image", flat=True)) == sorted(names[1:])

    def test_a_triggers_own_link_is_authorised_by_its_own_secret(self, client, trigger):
        body = push(name=f"{self.SIGNED}/team/app")
        response = client.post("/hook/trigger", body, content_type="application/json", query_params=link_parameters(trigger))
        assert decisions(response) == ["triggered"]

    def test_the_reader_of_a_page_sees_why(self, client, registry, trigger):
        send(client, registry, push(name=f"{self.SIGNED}/team/app", sender="relay"))
        delivery = Delivery.objects.get()
        client.force_login(make_user("boss", is_superuser=True))
        for address in ("/deliveries/", f"/deliveries/{delivery.pk}/"):
            page = client.get(address).content.decode()
            assert "Bad signature" in page
            assert "a signing secret is stored for signed.example.com" in page


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
    def test_a_message_of_a_sender_is_read(self, client, registry, name, tag, digest, subscribed, decision):
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

    def test_other_bodies_stay_plain_calls_and_a_push_does_not_scale(self, client, registry):
        trigger, scaling = make_trigger(), ScalingTriggerFactory()
        for body in (b"{}", b'{"sender": "nobody"}', b"text", b""):
            query = link_parameters(trigger)
            response = client.post("/hook/trigger", body, content_type="application/json", query_params=query)
            assert response.json()["requestId"]
        query = {**link_parameters(scaling), "type": "scale_out", "step": "1"}
        assert client.post("/hook/trigger", b"{}", content_type="application/json", query_params=query).json()["requestId"]
        answer = client.post("/hook/trigger", push(), content_type="application/json", query_params=query).json()
        assert (answer["requestId"], scaling.calls.count()) == (None, 1)
        assert Delivery.objects.get().trigger == scaling
        assert set(TriggerCall.objects.values_list("source", flat=True)) == {"hook"}

    def test_a_waiting_caller_gets_the_outcome(self, client, registry, monkeypatch):
        trigger = make_trigger()
        monkeypatch.setattr(waiters, "wait_for_end", lambda *_, **__: end_calls(CallState.FAILED))
        query = {**link_parameters(trigger), "wait": "5"}
        response = client.post("/hook/trigger", push(), content_type="application/json", query_params=query)
        assert (response.status_code, response.json()["lines"][0]["decision"]) == (500, "triggered")

    def test_the_parameters_of_the_link_can_be_in_the_body(self, client, registry):
        trigger = make_trigger()
        body = json.dumps({**json.loads(push()), **link_parameters(trigger)})
        assert decisions(client.post("/hook/trigger", body, content_type="application/json")) == ["triggered"]


class TestReplay:
    def test_a_replay_ignores_signature_and_repetition(self, client, registry):
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

    def test_a_delivery_without_images_or_with_a_deleted_trigger_calls_nothing(self, client, registry):
        send(client, registry, b"?")
        assert replay_delivery(Delivery.objects.get(), make_user("ann")).decision == "unreadable"
        Delivery.objects.all().delete()
        trigger, other = make_trigger(), make_trigger()
        client.post("/hook/trigger", push(name=APP), content_type="application/json", query_params=link_parameters(trigger))
        trigger.delete()
        replay = replay_delivery(Delivery.objects.get(), make_user("bob"))
        assert replay_delivery(replay, make_user("cid")).decision == "image"
        assert not other.calls.exists()


def test_the_answer_takes_a_bounded_number_of_queries(client, registry, django_assert_num_queries):
    """Registry; begin; hosts; subscriptions; changing; services; newest line; id; call: savepoint, id, covering, queue
    length, insert, release; delivery; lines; commit. One that makes no call: the link's rows of this minute too."""
    make_trigger()
    for _ in range(5):
        make_trigger(image="other:1", subscribed="docker.io/library/other")
    with django_assert_num_queries(8):
        assert decisions(send(client, registry, push(name="team/none", id="a"))) == ["image"]
    with django_assert_num_queries(17 + 2 * connection.features.has_select_for_update):
        assert decisions(send(client, registry, push(id="b"))) == ["triggered"]

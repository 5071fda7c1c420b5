from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook

from triggers.notifications.messages import Message
from triggers.notifications.outcomes import NotSent
from triggers.notifications.webhook import give_signing_key, send_webhook, sign

MESSAGE = Message(
    webhook_id="msg_1",
    title="shop on prod: redeploy failed",
    text="…",
    level="failure",
    payload={"type": "failed", "sentence": "„ü“"},
    url=None,
    facts={},
    count=1,
)


def make_values(sink, **more):
    values = {"url": f"{sink.address}/news?x=1", **more}
    give_signing_key(values)
    return values


def test_the_library_of_standard_webhooks_verifies_what_is_sent(sink):
    values = make_values(sink)
    receipt = send_webhook(values, MESSAGE)
    assert (receipt.status, receipt.answer) == (200, "taken")
    got = sink.received[0]
    assert got.verify(values["secret"]) == MESSAGE.payload
    assert (got.path, got.id, got.headers["content-type"]) == ("/news?x=1", "msg_1", "application/json")
    with pytest.raises(Exception, match="No matching signature"):
        Webhook("whsec_" + "A" * 44).verify(got.body, got.headers)


def test_the_signature_is_the_librarys():
    key, at = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", datetime(2026, 1, 31, tzinfo=UTC)
    assert sign(key, "msg_1", int(at.timestamp()), b'{"a":1}') == Webhook(key).sign("msg_1", at, '{"a":1}')


@pytest.mark.parametrize(
    ("status", "is_final", "is_gone"),
    [(400, True, False), (404, True, False), (408, False, False), (410, True, True), (429, False, False), (500, False, False)],
)
def test_what_an_answer_means(sink, status, is_final, is_gone):
    sink.answers = [(status, {"Retry-After": "7"}, b"no, \0 and no" + b"!" * 9000)]
    with pytest.raises(NotSent, match=f"answered {status}") as caught:
        send_webhook(make_values(sink), MESSAGE)
    error = caught.value
    assert (error.is_final, error.is_gone, error.status, error.retry_after) == (is_final, is_gone, status, 7)
    assert error.answer.startswith("no,   and no!!")
    assert len(error.answer) == 500


def test_no_redirect_is_followed(sink):
    sink.answers = [(307, {"Location": f"{sink.address}/elsewhere"}, b"")]
    with pytest.raises(NotSent, match="a redirect") as caught:
        send_webhook(make_values(sink), MESSAGE)
    assert not caught.value.is_final
    assert [got.path for got in sink.received] == ["/news?x=1"]


def test_a_slow_receiver_is_given_up(sink, monkeypatch):
    monkeypatch.setattr("triggers.notifications.transport.SECONDS", 0.2)
    sink.is_open.clear()
    with pytest.raises(NotSent, match="did not answer in time"):
        send_webhook(make_values(sink), MESSAGE)


def test_nobody_listens(sink):
    values = make_values(sink) | {"url": "http://127.0.0.1:1/"}
    with pytest.raises(NotSent, match=r"127\.0\.0\.1:1 refused the connection\.") as caught:
        send_webhook(values, MESSAGE)
    assert not caught.value.is_final


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "http://[::ffff:169.254.169.254]/", "http://0.0.0.0/"])
def test_a_forbidden_address_is_final(sink, url):
    with pytest.raises(NotSent, match="Nothing was sent") as caught:
        send_webhook(make_values(sink) | {"url": url}, MESSAGE)
    assert caught.value.is_final


def test_a_proxy_of_the_environment_is_not_used(sink, monkeypatch):
    """It would resolve the name itself, after the address was judged."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert send_webhook(make_values(sink), MESSAGE).status == 200


def test_a_channel_without_a_key_sends_nothing(sink):
    with pytest.raises(NotSent, match="no signing key"):
        send_webhook({"url": sink.address}, MESSAGE)
    assert sink.received == []

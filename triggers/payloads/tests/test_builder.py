"""The limits and checks of a payload while it is built."""

import pytest

from triggers.payloads.builder import SENTENCES_MAXIMUM, PayloadBuilder
from triggers.payloads.tests.examples import DIGEST


def test_sentences_are_few_short_and_printable():
    builder = PayloadBuilder("x")
    for number in range(100):
        builder.add_push(f"{number}\0\ud800\u202e<b>{'x' * 10_000}")
    sentences = builder.finish().passed_over
    assert len(sentences) == SENTENCES_MAXIMUM + 1
    assert sentences[-1] == "And 80 more of this kind."
    assert all(sentence.isprintable() and len(sentence) < 200 for sentence in sentences)


def test_an_overlong_delivery_id_is_left_out_and_an_event_is_shortened():
    payload = PayloadBuilder("x", "e" * 100_000, "d" * 256).finish()
    assert (payload.event, payload.delivery_id) == ("e" * 64, "")


@pytest.mark.parametrize(
    ("path", "tag", "digest", "host"),
    [
        ("a" * 256, "1", None, ""),
        ("team//app", "1", None, ""),
        ("team/app:1", "1", None, ""),
        ("../app", "1", None, ""),
        ("äpp", "1", None, ""),
        ("app\n", "1", None, ""),
        ("app\0", "1", None, ""),
        ("app", "t" * 129, None, ""),
        ("app", "1\n", None, ""),
        ("app", True, None, ""),
        ("app", "1", "sha256:xyz", ""),
        ("app", "1", f"{'a' * 200}:{'0' * 64}", ""),
        ("app", "sha256:xyz", None, ""),
        ("app", "1", None, "ho st"),
        ("app", "1", None, ["host"]),
        (None, "1", None, ""),
        ({"a": 1}, "1", None, ""),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_bad_reference_is_passed_over(path, tag, digest, host):
    builder = PayloadBuilder("x")
    builder.add_push(path, tag, digest, host)
    payload = builder.finish()
    assert payload.pushes == ()
    assert len(payload.passed_over) == 1


def test_a_digest_is_read_where_a_tag_is_expected():
    builder = PayloadBuilder("x")
    builder.add_push("app", DIGEST)
    builder.add_push("app", DIGEST, DIGEST)
    builder.add_push("app", "sha512:" + "0" * 128, "sha512:" + "0" * 128)
    assert [(push.tag, push.digest) for push in builder.finish().pushes] == [("", DIGEST), ("", "sha512:" + "0" * 128)]

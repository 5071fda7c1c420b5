"""Every dialect reads hostile messages without an error, and no message of another."""

import pytest

from triggers.payloads.alerts import DIALECTS, LABELS, read_notification
from triggers.payloads.monitors.notification import ALERTS_MAXIMUM, OTHER
from triggers.payloads.monitors.tests.examples import DIALECTS as EXAMPLES
from triggers.payloads.tests.examples import EXAMPLES as IMAGES

STRANGE = (None, True, 0, -1, 1.5, "", "\0\ud800", "x" * 5000, [], [1], {}, {"id": {}}, [[]])


def spoil(body):
    """Yield the body with each field, also of its objects, replaced by each strange value or left out."""
    for key, value in body.items():
        for strange in STRANGE:
            yield body | {key: strange}
        yield {name: other for name, other in body.items() if name != key}
        if isinstance(value, dict):
            yield from (body | {key: inner} for inner in spoil(value))


@pytest.mark.parametrize("dialect", EXAMPLES.values(), ids=EXAMPLES)
def test_no_message_is_an_error(dialect):
    headers = {name.lower(): value for name, value in dialect.headers.items()}
    for body in spoil(dialect.fired):
        found = read_notification(body, headers)
        if found is None:
            continue
        texts = (found.sender, found.name, found.event, found.reason)
        assert all(text.isprintable() and len(text) <= 300 for text in texts)
        assert (found.state == OTHER) == bool(found.reason)
        assert len(found.alerts) <= ALERTS_MAXIMUM


@pytest.mark.parametrize("dialect", EXAMPLES.values(), ids=EXAMPLES)
def test_one_dialect_alone_reads_a_message(dialect):
    headers = {name.lower(): value for name, value in dialect.headers.items()}
    for body in (dialect.fired, dialect.resolved, *dialect.others):
        assert len([one for one in DIALECTS if one.read(headers, body)]) == 1


@pytest.mark.parametrize("example", IMAGES, ids=lambda example: example.name)
def test_no_message_about_an_image_is_an_alert(example):
    found = read_notification(example.body, example.headers)
    assert found is None or (example.case, found.state) == ("a confirmation of SNS", OTHER)


def test_every_dialect_has_a_label_and_an_example():
    assert {one.NAME for one in DIALECTS} | {"grafana"} == {one.sender for one in EXAMPLES.values()}
    assert len(set(LABELS.values())) == len(LABELS) == len(DIALECTS) + 1

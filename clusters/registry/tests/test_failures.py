import time
from email.utils import formatdate

import pytest

from clusters.registry.access import PullLimit, RegistryAccess
from clusters.registry.client import RegistryClient
from clusters.registry.errors import RegistryError
from clusters.registry.tests.acts import JSON, LIMITS, answer_json, may_push, read_tag, refuse, reply
from clusters.registry.tests.scripted import Asked, Reply, serve


@pytest.mark.parametrize(
    ("status", "code", "permanent"),
    [
        (400, "bad_answer", False),
        (401, "unauthorized", True),
        (403, "forbidden", True),
        (404, "not_found", True),
        (418, "bad_answer", False),
        (500, "server_error", False),
        (503, "server_error", False),
        (599, "server_error", False),
    ],
)
@pytest.mark.parametrize("act", [RegistryClient.check, read_tag, may_push])
def test_status_becomes_a_code(act, status, code, permanent):
    def fail(asked: Asked) -> Reply:
        return answer_json({"errors": [{"message": "some <b>words</b>"}]}, status)

    error = refuse(fail, act)
    assert (error.code, error.permanent) == (code, permanent)


@pytest.mark.parametrize(
    ("headers", "wait", "words"),
    [
        ({**LIMITS, "RateLimit-Remaining": "0;w=21600", "Retry-After": "2100"}, 2100, "0 of 100 pulls in 6 hours remain"),
        ({"Retry-After": "2100"}, 2100, "35 minutes"),
        ({"Retry-After": "99999999"}, 86400, "wait 1 day"),
        ({"Retry-After": "soon"}, None, "429"),
        ({"Retry-After": "-5"}, None, "429"),
        ({"RateLimit-Limit": "x", "RateLimit-Remaining": "9" * 40}, None, "429"),
    ],
)
def test_rate_limit_shows_the_wait_and_what_remains(headers, wait, words):
    error = refuse(reply(429, headers), read_tag)
    assert (error.code, error.permanent, error.retry_after) == ("rate_limited", False, wait)
    assert words in error.message
    assert error.limit == (PullLimit(100, 0, 21600) if "Remaining" in str(headers) and "w=" in str(headers) else None)


@pytest.mark.parametrize("write", [lambda moment: formatdate(moment, usegmt=True), lambda moment: str(int(moment))])
def test_wait_until_a_moment_becomes_seconds(write):
    error = refuse(reply(429, {"Retry-After": write(time.time() + 3600)}), read_tag)
    assert 3500 < error.retry_after <= 3600


def test_answer_that_is_not_http_is_a_bad_answer():
    assert refuse(lambda asked: b"SSH\r\n\r\n").code == "bad_answer"


def test_closed_connection_is_unreachable():
    assert refuse(lambda asked: Reply(200, {**JSON, "Content-Length": "10"}, [b"{}"])).code == "unreachable"


def test_stopped_registry_is_unreachable():
    with serve(reply()) as registry:
        access = registry.access()
    with RegistryClient(access) as client, pytest.raises(RegistryError) as caught:
        client.check()
    assert (caught.value.code, caught.value.permanent) == ("unreachable", False)
    assert "refused the connection" in caught.value.message


def test_name_that_does_not_resolve_is_unreachable():
    with RegistryClient(RegistryAccess("nowhere.invalid")) as client, pytest.raises(RegistryError) as caught:
        client.check()
    assert caught.value.code == "unreachable"
    assert "resolved" in caught.value.message

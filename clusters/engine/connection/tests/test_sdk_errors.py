from types import SimpleNamespace

import pytest
import requests
from docker.errors import APIError

from clusters.engine.connection.sdk_errors import classify_refusal, translated_errors
from clusters.engine.errors import EngineRefused, NotManager, SwarmUnavailable, TargetMissing

NO_LEADER = "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few managers are online."


@pytest.mark.parametrize(
    ("status", "message", "kind", "code"),
    [
        (404, "service shop_web not found", TargetMissing, "not_found"),
        (409, "the name is in use", EngineRefused, "conflict"),
        (500, "rpc error: code = Unknown desc = update out of sequence", EngineRefused, "out_of_sequence"),
        (503, 'This node is not a swarm manager. Use "docker swarm init" to make it one.', NotManager, "not_a_manager"),
        (503, "This node is not part of a swarm", NotManager, "not_a_manager"),
        (500, NO_LEADER, SwarmUnavailable, "swarm_unavailable"),
        (500, "rpc error: code = DeadlineExceeded desc = context deadline exceeded", SwarmUnavailable, "swarm_unavailable"),
        (500, 'Get "http://registry:5000/v2/": context deadline exceeded', EngineRefused, "engine_refused"),
        (503, "Swarm is encrypted and needs to be unlocked before it can be used.", SwarmUnavailable, "swarm_unavailable"),
        (500, "no space left on device", EngineRefused, "engine_refused"),
    ],
)
def test_an_engines_refusal_is_typed_by_its_status_and_words(status, message, kind, code):
    error = classify_refusal(status, message)
    assert (type(error), error.code) == (kind, code)


def refuse(status, body, method="GET", url="http+docker://localhost/v1.41/images/json?all=1"):
    response = requests.Response()
    response.status_code = status
    response.request = SimpleNamespace(method=method, url=url)
    with pytest.raises(EngineRefused) as refused, translated_errors():
        raise APIError("refused", response=response, explanation=body)
    return refused.value.message


def test_what_a_proxy_forbids_is_named_without_its_markup():
    page = "<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>\n"
    assert refuse(403, page) == (
        "GET /images/json is forbidden by what stands before the engine, a socket proxy or a plugin "
        "(403: 403 Forbidden Request forbidden by administrative rules.)."
    )
    assert refuse(403, "no", "POST", "http+docker://localhost/v1.41/images/create").startswith(
        "POST /images/create is forbidden"
    )


def test_what_the_engine_says_stays_as_it_is():
    assert refuse(500, "no space left on device") == "no space left on device"

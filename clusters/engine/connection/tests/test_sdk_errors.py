import pytest

from clusters.engine.connection.sdk_errors import classify_refusal
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

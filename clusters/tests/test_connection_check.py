"""How many people can test addresses at a time; tests/integration tests real ones."""

from contextlib import ExitStack

import pytest
from django.conf import settings

from clusters import connection_check
from clusters.connection_check import TESTS, check_connection
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.engine.errors import EngineError, EngineUnreachable
from clusters.waits import wait_for_engine


def test_one_test_too_many_is_refused_at_once_whatever_the_address(monkeypatch):
    asked = []

    def refuse(endpoint, timeout):
        asked.append(endpoint.url)
        raise EngineUnreachable("Nobody listens there.")

    monkeypatch.setattr(connection_check, "EngineClient", refuse)
    with ExitStack() as others:
        for _ in range(settings.WAITING_REQUESTS_FOR_EACH):
            others.enter_context(wait_for_engine(TESTS))
        with pytest.raises(EngineError, match="too slowly") as refusal:
            check_connection(EngineEndpoint("tcp://one.example.com:2376"))
        assert (refusal.value.code, asked) == ("busy", [])
    with pytest.raises(EngineError, match="Nobody listens there"):
        check_connection(EngineEndpoint("tcp://one.example.com:2376"))
    assert asked == ["tcp://one.example.com:2376"]

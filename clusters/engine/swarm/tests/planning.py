"""What the tests of plans share: intents, and the code of a refusal."""

import pytest

from clusters.engine.driver import Intent
from clusters.engine.errors import PlanRefused
from clusters.engine.snapshot import Snapshot
from clusters.engine.tests.swarm_recording import task

PAUSE = Intent("pause")


def depends(*others):
    return {"windlass.depends": ",".join(others)}


def refusal(plan, *arguments):
    with pytest.raises(PlanRefused) as caught:
        plan(*arguments)
    return caught.value.code


def before(name, force_update=0, version=10, started_at="", wanted=2, on_failure="rollback"):
    """Return an intent whose call found the service `name` like this at its first attempt."""
    update = {"force_update": force_update, "version": version, "started_at": started_at}
    return Intent(on_failure, Snapshot.from_json({"services": {name: {"wanted": wanted, "update": update}}}))


def status(state, started_at="later"):
    return {"State": state, "StartedAt": started_at}


def running(count):
    return tuple(task(slot) for slot in range(1, count + 1))

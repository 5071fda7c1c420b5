import pytest

from clusters.engine.drivers import driver_for
from clusters.engine.errors import EngineUnreachable
from clusters.engine.swarm.tests.executing import STACK, fail, run


def test_a_short_silence_is_waited_for(fake):
    fail(fake, "list_tasks", EngineUnreachable("connection refused."), times=1)
    driver = driver_for("stack")
    plan = driver.plan_redeploy(driver.observe(FakeView(fake), STACK))
    events = []
    outcome = driver.execute(fake, plan, lambda *event: events.append(event), lambda: None)
    assert outcome.state == "succeeded"
    assert ("warning", "wait", "connection refused. Trying again.") in events


class FakeView:
    """The same engine, for requests that must not reach the hook."""

    def __init__(self, fake):
        self._fake = fake

    def __getattr__(self, name):
        def request(*arguments):
            hook, self._fake.before_request = self._fake.before_request, lambda method: None
            try:
                return getattr(self._fake, name)(*arguments)
            finally:
                self._fake.before_request = hook

        return request


@pytest.mark.parametrize("loss", ["unreachable", "no manager", "no leader"])
def test_a_lost_manager_is_raised_so_that_another_can_continue(fake, loss):
    def lose(method):
        if method == "update_service":
            lost.append(method)
        if lost and method == "list_services":
            if loss == "unreachable":
                fake.unreachable = "gone"
            elif loss == "no manager":
                fake.swarm.is_manager = False
            else:
                fake.swarm.leaderless = "The swarm does not have a leader."

    lost = []
    fake.before_request = lose
    with pytest.raises(EngineUnreachable):
        run(fake)

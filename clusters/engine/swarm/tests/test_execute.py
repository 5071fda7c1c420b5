"""Executions that are interrupted at any request: by the death of their worker, a hand-over or a cancellation."""

import pytest

from clusters.engine.driver import Intent, Target
from clusters.engine.drivers import driver_for
from clusters.engine.errors import Cancelled, HandOver
from clusters.engine.fakes.fake_engine import CRASHES, RUNS
from clusters.engine.swarm.tests.executing import STACK, AtRequest, count, force_updates, images, make_waves, run, snapshot
from tests.harness.interruption import Killed


def die_before(fake, request):
    left = [request]

    def hook(method):
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    fake.before_request = hook


def run_with_deaths(fake, request, **options):
    """Return the drive of the first worker or the one that took over, and whether the first one died."""
    intent = Intent(before=snapshot(fake))
    die_before(fake, request)
    try:
        return run(fake, intent=intent, **options), False
    except Killed:
        fake.before_request = lambda method: None
        return run(fake, intent=intent, **options), True


def test_no_update_is_sent_twice_wherever_a_worker_dies():
    request, died = 0, True
    while died:
        fake = make_waves()
        drive, died = run_with_deaths(fake, request)
        assert drive.outcome.state == "succeeded", (request, drive.outcome)
        assert force_updates(fake) == {"shop_api": 1, "shop_web": 1}, request
        assert count(fake, "update service") == 2, request
        request += 1
    assert request > 10


def test_everything_is_rolled_back_wherever_a_worker_dies():
    request, died = 0, True
    while died:
        fake = make_waves()
        fake.publish("web:1", Cmd=CRASHES)
        drive, died = run_with_deaths(fake, request)
        assert drive.outcome.state == "rolled_back", (request, drive.outcome)
        assert "non-zero exit (1)" in drive.outcome.message, (request, drive.outcome)
        assert force_updates(fake) == {"shop_api": 0, "shop_web": 0}, request
        assert (count(fake, "update service"), count(fake, "roll back service")) == (2, 2), request
        request += 1
    assert request > 20


def test_a_scaling_is_sent_once_wherever_a_worker_dies():
    request, died = 0, True
    while died:
        fake = make_waves()
        drive, died = run_with_deaths(fake, request, target=Target("shop", "stack", "web"), replicas=4)
        assert drive.outcome.state == "succeeded", (request, drive.outcome)
        assert count(fake, "update service") == 1, request
        request += 1
    assert request > 5


def test_other_exceptions_of_check_are_raised(fake):
    checks = []

    def check():
        checks.append(None)
        if len(checks) > 5:
            raise Killed

    with pytest.raises(Killed):
        run(fake, check=check)


@pytest.mark.parametrize("on_failure", ["rollback", "pause"])
def test_a_redeploy_that_is_cancelled_at_any_request_is_rolled_back_or_was_done(on_failure):
    states, number = [], 0
    while not states or states[-1] != "succeeded":
        fake = make_waves()
        before = images(fake)
        fake.publish("web:1", Cmd=RUNS)
        fake.publish("api:1", Cmd=RUNS)
        outcome = run(fake, intent=Intent(on_failure), check=AtRequest(fake, number, Cancelled("Cancelled by bob."))).outcome
        states.append(outcome.state)
        if outcome.state != "succeeded":
            assert (outcome.reason, images(fake)) == ("cancelled", before), (number, outcome)
            assert outcome.message.startswith("Cancelled by bob. "), outcome
        number += 3
    assert set(states) == {"failed", "rolled_back", "succeeded"}


def test_an_update_that_a_lost_worker_sent_is_rolled_back_when_its_call_is_cancelled(fake):
    before, spec = snapshot(fake), images(fake)
    fake.publish("web:1", Cmd=RUNS)

    def die(method):
        if count(fake, "update service") == 2:
            raise Killed

    fake.before_request = die
    with pytest.raises(Killed):
        run(fake)
    fake.before_request = lambda method: None
    outcome = run(fake, intent=Intent(before=before), check=AtRequest(fake, 0, Cancelled("Cancelled by bob."))).outcome
    assert (outcome.state, outcome.reason, images(fake)) == ("rolled_back", "cancelled", spec)


def test_a_cancelled_restart_is_not_rolled_back(fake):
    driver = driver_for("stack")
    planned = driver.plan_act(driver.observe(fake, STACK), "restart")
    check = AtRequest(fake, 12, Cancelled("Cancelled by bob."))
    outcome = driver.execute(fake, planned, lambda *event: None, check)
    assert (outcome.state, outcome.reason) == ("failed", "cancelled")
    assert count(fake, "roll back service") == 0


@pytest.mark.parametrize("on_failure", ["rollback", "pause"])
def test_a_scaling_that_is_cancelled_at_any_request_sets_the_count_back_or_was_done(on_failure):
    target, states, number = Target("shop", "stack", "web"), [], 0
    while not states or states[-1] != "succeeded":
        fake = make_waves()
        check = AtRequest(fake, number, Cancelled("Cancelled by bob."))
        outcome = run(fake, target, replicas=4, intent=Intent(on_failure), check=check).outcome
        states.append(outcome.state)
        if outcome.state != "succeeded":
            running = snapshot(fake, target).services["web"].running
            assert (outcome.reason, running) == ("cancelled", 2), (number, outcome)
        number += 1
    assert set(states) == {"failed", "rolled_back", "succeeded"}


def test_a_worker_that_has_to_end_leaves_the_rest_to_another(fake):
    before = snapshot(fake)
    fake.publish("web:1", Cmd=RUNS)
    with pytest.raises(HandOver):
        run(fake, check=AtRequest(fake, 9, HandOver()))
    fake.before_request = lambda method: None
    assert run(fake, intent=Intent(before=before)).outcome.state == "succeeded"
    assert count(fake, "update service") == 2

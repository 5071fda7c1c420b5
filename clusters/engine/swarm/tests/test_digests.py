import pytest

from clusters.engine.connection.credentials import PullCredentials
from clusters.engine.driver import Intent, Target
from clusters.engine.drivers import driver_for
from clusters.engine.errors import EngineUnreachable, PullFailed
from clusters.engine.fakes.fake_engine import RUNS
from clusters.engine.swarm.tests.executing import STACK, WEB, count, fail, run
from clusters.registry.errors import RegistryError


def test_one_reference_that_the_registry_lost_leaves_every_service_untouched(fake):
    del fake.registry["web:1"]
    drive = run(fake)
    assert (drive.outcome.state, drive.outcome.reason) == ("failed", "pull_not_found")
    assert count(fake, "update service") == 0


def test_a_registry_that_keeps_the_manager_waiting_is_not_a_lost_manager(fake):
    fail(fake, "resolve_digest", EngineUnreachable("The engine did not answer in time."), times=2)
    drive = run(fake)
    assert drive.outcome.state == "succeeded"
    assert drive.outcome.message.count("could not be resolved (The engine did not answer in time)") == 2


def test_a_refused_login_is_reported_and_the_nodes_resolve_the_tag(fake):
    fake.registry["web:1"] = PullFailed("web:1 could not be pulled: denied.", code="pull_unauthorized")
    fake.add_image("web:1", Cmd=RUNS)
    drive = run(fake, Target("shop", "stack", "web"))
    assert drive.outcome.state == "succeeded"
    assert "each node resolves it itself, with the credentials that Swarm has." in drive.outcome.message


def test_credentials_that_are_refused_for_a_known_image_touch_nothing(fake):
    fake.private["web:1"] = "me:right"
    fake.credentials = lambda reference, endpoint: PullCredentials({"username": "me", "password": "wrong"})
    drive = run(fake)
    assert (drive.outcome.state, drive.outcome.reason) == ("failed", "pull_unauthorized")
    assert count(fake, "update service") == 0


def fail_to_read(reference, endpoint):
    raise RegistryError("The credential helper ecr-login did not answer within 10 s.", "helper_failed")


@pytest.mark.parametrize("act", ["redeploy", "restart", "scale"])
def test_credentials_that_cannot_be_read_touch_nothing(fake, act):
    fake.credentials = fail_to_read
    driver = driver_for("stack")
    observation = driver.observe(fake, STACK)
    plans = {
        "redeploy": lambda: driver.plan_redeploy(observation),
        "restart": lambda: driver.plan_act(observation, "restart"),
        "scale": lambda: driver.plan_scale(observation, "web", 3),
    }
    outcome = driver.execute(fake, plans[act](), lambda *event: None, lambda: None)
    assert (outcome.state, outcome.reason) == ("failed", "credentials_failed")
    assert "The credential helper ecr-login did not answer within 10 s." in outcome.message
    assert count(fake, "update service") == 0


def test_credentials_are_read_again_for_the_lookup_and_for_each_update(fake):
    asked = []
    fake.credentials = lambda reference, endpoint: asked.append(reference.partition("@")[0]) or PullCredentials()
    run(fake)
    assert sorted(asked) == ["api:1", "api:1", "web:1", "web:1"]
    run(fake, Target("shop", "stack", "web"), replicas=3)
    assert sorted(asked) == ["api:1", "api:1", "web:1", "web:1", "web:1"]


@pytest.mark.parametrize("problem", ["unknown", "silent registry", "silent engine"])
def test_another_tag_that_cannot_be_resolved_touches_nothing(fake, problem):
    if problem == "silent registry":
        fake.fail_pull("web:2")
    elif problem == "silent engine":
        fail(fake, "resolve_digest", EngineUnreachable("The engine did not answer in time."))
    drive = run(fake, WEB, intent=Intent(tag="2"))
    assert drive.outcome.state == "failed"
    assert "Nothing was touched." in drive.outcome.message
    assert count(fake, "update service") == 0

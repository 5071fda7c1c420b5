import pytest

from clusters.engine.driver import Intent
from clusters.engine.drivers import driver_for
from clusters.engine.errors import Cancelled, HandOver, PlanRefused
from clusters.engine.fakes.fake_engine import CANNOT_START, COMPLETES, CRASHES, RUNS, SERVES, FakeEngine
from clusters.engine.hooks import describe_done
from clusters.engine.inspection.swarm_listing import observe_swarm
from clusters.engine.swarm.tests.executing import STACK, add_service, count, force_updates, make_fake, run, snapshot
from tests.harness.interruption import Killed

STEP = "shop_web_windlass-predeploy"
CALL = Intent(call="call-1")


def make(command=COMPLETES[0], **labels):
    return make_fake(web={"windlass.predeploy": command, **{f"windlass.{key}": value for key, value in labels.items()}})


def make_checked(command, timeout="1m", **labels):
    """`command`: of the new image."""
    engine = FakeEngine()
    engine.init_swarm()
    network = engine.networks[engine.add_network("shop_back")]["Id"]
    engine.publish("web:1", Cmd=RUNS)
    engine.publish("tools:1", Cmd=RUNS)
    own = {"windlass.check": "http://:8080/ready", "windlass.check.timeout": timeout, **labels}
    add_service(engine, "web", labels=own)
    engine.swarm.find_service("shop_web").spec["TaskTemplate"]["Networks"] = [{"Target": network, "Aliases": ["web"]}]
    engine.swarm.settle()
    engine.publish("web:1", Cmd=command)
    return engine


def jobs(fake):
    return [service.name for service in fake.swarm.services.values() if service.is_job]


def test_the_step_is_a_job_of_the_new_image_before_any_update():
    fake = make("/bin/true now")
    fake.publish("web:1", Cmd=RUNS)
    specs = []
    create = fake.swarm.create_service
    fake.swarm.create_service = lambda spec, credentials: specs.append(spec) or create(spec, credentials)
    drive = run(fake, intent=CALL)
    assert drive.outcome.state == "succeeded", drive.outcome
    changes = [line for line in fake.operations if "service" in line]
    assert [line.rpartition(" ")[0] for line in changes[:3]] == ["create service", "remove service", "update service"]
    [spec] = specs
    assert spec["Name"] == STEP
    assert spec["Mode"] == {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}
    assert spec["TaskTemplate"]["RestartPolicy"] == {"Condition": "none"}
    assert spec["TaskTemplate"]["ContainerSpec"]["Args"] == ["/bin/true", "now"]
    assert spec["TaskTemplate"]["ContainerSpec"]["Image"].endswith(fake.digest_of(fake.registry["web:1"]))
    assert spec["Labels"] == {
        "windlass.hook": "predeploy",
        "windlass.hook.call": "call-1",
        "com.docker.stack.namespace": "shop",
    }
    assert "EndpointSpec" not in spec
    assert jobs(fake) == []
    assert ("info", "predeploy", describe_done("web")) in drive.events


def test_the_step_has_the_services_networks_place_and_secrets_and_no_labels_or_aliases():
    fake = make()
    spec = fake.swarm.find_service("shop_web").spec
    secret = fake.swarm.add_object("secret", "shop_key")
    reference = {"SecretID": secret, "SecretName": "shop_key", "File": {"Name": "key"}}
    spec["TaskTemplate"]["ContainerSpec"] |= {
        "Env": ["DB=db"],
        "User": "app",
        "Secrets": [reference],
        "Labels": {"traefik.enable": "true"},
    }
    spec["TaskTemplate"] |= {
        "Networks": [{"Target": "back", "Aliases": ["web"]}],
        "Placement": {"Constraints": ["node.role==manager"], "MaxReplicas": 1},
    }
    driver = driver_for("stack")
    plan = driver.plan_redeploy(driver.observe(fake, STACK), CALL)
    job = next(operation for operation in plan.operations if operation.word == "predeploy")
    template = job.spec["TaskTemplate"]
    assert template["Networks"] == [{"Target": "back"}]
    assert template["Placement"] == {"Constraints": ["node.role==manager"]}
    container = template["ContainerSpec"]
    assert (container["Env"], container["User"], container["Secrets"]) == (["DB=db"], "app", [reference])
    assert container["Healthcheck"] == {"Test": ["NONE"]}
    assert "Labels" not in container
    assert "run the pre-deploy step of web once, for 300 s at most: /bin/true" in plan.as_text()


@pytest.mark.parametrize("command", [CRASHES[0], CANNOT_START[0]])
def test_a_step_that_fails_updates_nothing(command):
    fake = make(command)
    before = force_updates(fake)
    drive = run(fake, intent=CALL)
    assert (drive.outcome.state, drive.outcome.reason) == ("failed", "predeploy_failed")
    assert drive.outcome.message.startswith("The pre-deploy step of web failed")
    assert drive.outcome.message.endswith("Nothing was touched.")
    assert force_updates(fake) == before
    assert [item.service for item in drive.evidence] == ["web"]
    assert jobs(fake) == []


def test_a_step_past_its_deadline_is_removed():
    fake = make(RUNS[0], **{"predeploy.timeout": "10ms"})
    drive = run(fake, intent=CALL)
    assert (drive.outcome.state, drive.outcome.reason) == ("failed", "predeploy_timed_out")
    assert "did not end within 0.01 s" in drive.outcome.message
    assert jobs(fake) == []


def test_a_step_that_no_node_takes_says_so(monkeypatch):
    monkeypatch.setattr("clusters.engine.swarm.jobs.UNPLACED_SECONDS", 0.02)
    fake = make()
    fake.swarm.find_service("shop_web").spec["TaskTemplate"]["Placement"] = {"Constraints": ["node.role==none"]}
    drive = run(fake, intent=CALL)
    assert (drive.outcome.state, drive.outcome.reason) == ("failed", "predeploy_timed_out")
    assert "did not start within 0.02 s: its task is pending, no suitable node" in drive.outcome.message
    assert jobs(fake) == []


def interrupt(fake, error):
    def check():
        if count(fake, "create service"):
            raise error

    return check


def test_a_cancelled_step_is_removed_and_nothing_is_updated():
    fake = make(RUNS[0])
    drive = run(fake, intent=CALL, check=interrupt(fake, Cancelled("Cancelled by ann.")))
    assert (drive.outcome.state, drive.outcome.reason) == ("failed", "cancelled")
    assert count(fake, "update") == 0
    assert jobs(fake) == []


def test_another_worker_follows_the_step_that_was_handed_over():
    fake = make()
    with pytest.raises(HandOver):
        run(fake, intent=CALL, check=interrupt(fake, HandOver()))
    assert jobs(fake) == [STEP]
    assert run(fake, intent=CALL).outcome.state == "succeeded"
    assert count(fake, f"create service {STEP}") == 1


def test_a_call_that_is_cancelled_while_no_worker_has_it_leaves_no_step():
    fake = make(RUNS[0])
    with pytest.raises(HandOver):
        run(fake, intent=CALL, check=interrupt(fake, HandOver()))
    assert jobs(fake) == [STEP]

    def check():
        raise Cancelled("Cancelled by ann.")

    drive = run(fake, intent=CALL, check=check)
    assert (drive.outcome.state, drive.outcome.reason) == ("failed", "cancelled")
    assert jobs(fake) == []


def test_a_step_that_was_reported_as_done_never_runs_again():
    fake = make(CRASHES[0])
    done = Intent(call="call-1", predeployed=frozenset({describe_done("web")}))
    assert run(fake, intent=done).outcome.state == "succeeded"
    assert count(fake, "create service") == 0


@pytest.mark.parametrize("boundary", range(40))
def test_a_worker_can_die_at_any_request_and_the_step_runs_once(boundary):
    fake = make()
    fake.publish("web:1", Cmd=RUNS)
    before, events, left = snapshot(fake), [], [boundary]

    def kill(method):
        left[0] -= 1
        if left[0] < 0:
            raise Killed(method)

    def attempt():
        done = frozenset(text for level, word, text in events if (level, word) == ("info", "predeploy"))
        driver, intent = driver_for("stack"), Intent(before=before, call="call-1", predeployed=done)
        plan = driver.plan_redeploy(driver.observe(fake, STACK), intent)
        return driver.execute(fake, plan, lambda *event: events.append(event), lambda: None)

    fake.before_request = kill
    try:
        outcome = attempt()
    except Killed:
        fake.before_request = lambda method: None
        outcome = attempt()
    assert outcome.state == "succeeded", outcome
    assert count(fake, f"create service {STEP}") == 1
    assert jobs(fake) == []
    assert set(force_updates(fake).values()) == {1}


def test_what_another_call_has_left_is_replaced():
    fake = make()
    with pytest.raises(HandOver):
        run(fake, intent=Intent(call="call-0"), check=interrupt(fake, HandOver()))
    assert run(fake, intent=CALL).outcome.state == "succeeded"
    assert count(fake, f"create service {STEP}") == 2


def test_a_job_of_ours_belongs_to_no_application_and_goes_with_the_stack():
    fake = make(RUNS[0])
    with pytest.raises(HandOver):
        run(fake, intent=CALL, check=interrupt(fake, HandOver()))
    driver = driver_for("stack")
    assert [placed.service.name for placed in observe_swarm(fake).services] == ["api", "web"]
    assert sorted(driver.observe(fake, STACK).snapshot().services) == ["api", "web"]
    plan = driver.plan_act(driver.observe_remains(fake, STACK), "delete")
    driver.execute(fake, plan, lambda *event: None, lambda: None)
    assert not fake.swarm.services


def test_a_service_without_tasks_has_no_step():
    fake = make()
    fake.swarm.find_service("shop_web").spec["Mode"]["Replicated"]["Replicas"] = 0
    drive = run(fake, intent=CALL)
    assert drive.outcome.state == "succeeded"
    assert count(fake, "create service") == 0


# The check


def test_a_service_that_answers_passes():
    fake = make_checked(SERVES)
    drive = run(fake, intent=CALL)
    assert drive.outcome.state == "succeeded", drive.outcome
    assert [line for line in fake.operations if line.startswith("create")] == ["create service shop_web_windlass-check"] * 2
    assert jobs(fake) == []


def test_a_service_that_does_not_answer_is_rolled_back():
    fake = make_checked(RUNS, timeout="20ms")
    drive = run(fake, intent=CALL)
    assert (drive.outcome.state, drive.outcome.reason) == ("rolled_back", "check_failed"), drive.outcome
    assert drive.outcome.message.startswith("web did not pass its check within 0.02 s: http://:8080/ready did not answer")
    assert "The previous version runs again" in drive.outcome.message
    assert jobs(fake) == []


def test_a_cancelled_check_rolls_back_and_leaves_no_job():
    fake = make_checked(RUNS)

    def check():
        if count(fake, "create service") == 2:
            raise Cancelled("Cancelled by ann.")

    drive = run(fake, intent=CALL, check=check)
    assert (drive.outcome.state, drive.outcome.reason) == ("rolled_back", "cancelled")
    assert jobs(fake) == []


def test_the_image_of_a_label_asks():
    fake = make_checked(SERVES, **{"windlass.check.image": "tools:1"})
    driver = driver_for("stack")
    plan = driver.plan_redeploy(driver.observe(fake, STACK), CALL)
    assert {operation.reference for operation in plan.operations if operation.word == "predeploy"} == {"tools:1"}
    assert run(fake, intent=CALL).outcome.state == "succeeded"


def test_a_service_that_nothing_can_reach_is_refused_before_anything_is_touched():
    fake = make_fake(web={"windlass.check": "http://:8080/ready"})
    with pytest.raises(PlanRefused, match="it is in no network of its own") as caught:
        run(fake, intent=CALL)
    assert caught.value.code == "check_impossible"

import pytest

from clusters.engine.errors import TargetMissing
from clusters.engine.standalone.health import NotHealthy, Watched, compute_health_deadline, watch_containers


class Engine:
    """An engine that answers an inspect with the next of the given states, and repeats the last one."""

    def __init__(self, *states, **details):
        self.states, self.details = list(states), details

    def inspect_container(self, container):
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if state is None:
            raise TargetMissing("No such container.")
        return {
            "State": {"Status": "running", "StartedAt": "t1", **state},
            "RestartCount": 0,
            "Image": "sha256:1",
            **self.details,
        }


def watch(engine, monitor=0.0):
    watched = Watched("abc", "web_1")
    watch_containers(engine, [watched], monitor, lambda seconds: None)
    return watched


def health(status, output="", code=1):
    return {"Health": {"Status": status, "Log": [{"Output": output, "ExitCode": code}]}}


def test_a_container_that_runs_through_the_monitor_period_is_healthy():
    assert watch(Engine({}), monitor=0.01).image_id == "sha256:1"


def test_a_health_check_is_waited_for_and_decides():
    watch(Engine(health("starting"), health("starting"), health("healthy")), monitor=3600)


@pytest.mark.parametrize(
    ("states", "code", "message"),
    [
        ([{}, {"Status": "exited", "ExitCode": 3}], "exited", "web_1 did not keep running (exit code 3)."),
        ([{}, {"Status": "exited", "OOMKilled": True}], "exited", "web_1 did not keep running: it ran out of memory."),
        ([{}, {"StartedAt": "t2", "ExitCode": 1}], "restarting", "web_1 crashed and was restarted (exit code 1)."),
        (
            [{"Status": "restarting", "Restarting": True, "ExitCode": 1}],
            "restarting",
            "web_1 crashed and was restarted (exit code 1).",
        ),
        ([{}, None], "exited", "web_1 exited and was removed."),
        ([health("unhealthy", "no\x1b[31m database\n")], "unhealthy", "web_1 is unhealthy: no database (exit code 1)."),
    ],
)
def test_an_unhealthy_container_is_reported_with_the_reason(states, code, message):
    with pytest.raises(NotHealthy) as caught:
        watch(Engine(*states), monitor=3600)
    assert (caught.value.code, caught.value.message) == (code, message)


def test_a_restart_before_the_first_look_counts():
    with pytest.raises(NotHealthy):
        watch(Engine({}, RestartCount=1))


def test_a_health_check_that_only_starts_fails_at_its_deadline(monkeypatch):
    monkeypatch.setattr("clusters.engine.standalone.health.compute_health_deadline", lambda check: -1)
    with pytest.raises(NotHealthy) as caught:
        watch(Engine(health("starting", "x" * 1000)))
    assert caught.value.code == "not_healthy_in_time"
    assert len(caught.value.message) < 400


def test_the_deadline_follows_the_health_checks_own_settings():
    second = 1_000_000_000
    own = {"StartPeriod": 60 * second, "Interval": 5 * second, "Timeout": 1 * second, "Retries": 2}
    assert compute_health_deadline(own) == 60 + 3 * 6 + 10
    assert compute_health_deadline({}) == 4 * 60 + 10


@pytest.mark.parametrize(
    ("policy", "code", "is_healthy"),
    [("no", 0, True), ("on-failure", 0, True), ("always", 0, False), ("unless-stopped", 0, False), ("no", 1, False)],
)
def test_a_container_that_may_end_passes_if_it_completed_and_its_policy_does_not_restart_it(policy, code, is_healthy):
    engine = Engine({}, {"Status": "exited", "ExitCode": code}, HostConfig={"RestartPolicy": {"Name": policy}})
    watched = Watched("abc", "web_1", may_end=True)
    if is_healthy:
        watch_containers(engine, [watched], 3600, lambda seconds: None)
    else:
        with pytest.raises(NotHealthy):
            watch_containers(engine, [watched], 3600, lambda seconds: None)
    assert watched.has_ended is is_healthy


def test_a_container_that_must_keep_running_fails_when_it_exits():
    with pytest.raises(NotHealthy):
        watch(Engine({"Status": "exited", "ExitCode": 0}, HostConfig={"RestartPolicy": {"Name": "no"}}))

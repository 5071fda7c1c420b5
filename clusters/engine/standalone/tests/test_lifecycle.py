import pytest

from clusters.engine.driver import Intent
from clusters.engine.errors import PlanRefused
from clusters.engine.standalone.lifecycle import plan_act
from clusters.engine.tests.recording import hello, load_container, web

VOLUME = "0123456789abcdef" * 4  # a name that the engine chose


def worker(depends="web:service_started:false", **changes):
    labels = {"com.docker.compose.depends_on": depends, **changes.pop("labels", {})}
    return load_container("hello_worker_1", container_id="e" * 12, labels=labels, **changes)


def sidecar(name="sidecar", parent="1" * 12, container_id="c" * 12, **changes):
    """Load a lone container in the network of the container `parent`."""
    return load_container("joiner", name, container_id, NetworkMode=f"container:{parent.ljust(64, '0')}", **changes)


def plan(act, *containers, container="", service="", before=None, networks=None):
    observed = hello(*containers, service=service)
    if networks:
        object.__setattr__(observed, "networks", networks)
    return plan_act(observed, act, container, Intent(before=before))


def text(*arguments, **options):
    return plan(*arguments, **options).as_text()


def refusal(*arguments, **options):
    with pytest.raises(PlanRefused) as caught:
        plan(*arguments, **options)
    return caught.value.code


def snapshot(*containers):
    return hello(*containers).snapshot()


STOPPED = {"state": "exited"}


class TestStop:
    def test_what_depends_on_others_is_stopped_before_them(self):
        assert (
            text("stop", web(1), web(2), worker())
            == """\
stop hello
1. stop hello_worker_1 (stop of hello)
2. 2 side by side (stop of hello)
   - stop hello_web_1
   - stop hello_web_2
"""
        )

    def test_each_has_the_time_that_it_says_it_needs(self):
        container = web()
        container["Config"]["StopTimeout"] = 42
        [operation] = plan("stop", container).operations()
        assert operation.grace == 42

    def test_what_is_stopped_already_is_left(self):
        assert "hello_web_2" not in text("stop", web(1), web(2, **STOPPED))
        assert plan("stop", web(1, **STOPPED)).is_empty()

    @pytest.mark.parametrize("state", ["paused", "restarting"])
    def test_a_paused_and_a_crashing_one_are_stopped_too(self, state):
        assert "1. stop hello_web_1" in text("stop", web(state=state))

    def test_one_container_is_stopped_alone_with_a_warning_for_containers_that_lose_its_network(self):
        assert (
            text("stop", web(1), web(2), sidecar(), container="hello_web_1")
            == """\
stop hello_web_1
warning: sidecar loses the namespace that it shares with a container of hello_web_1
1. stop hello_web_1 (stop of hello_web_1)
"""
        )

    def test_an_auto_removed_container_is_not_stopped(self):
        assert refusal("stop", web(AutoRemove=True)) == "auto_remove"

    def test_a_container_that_an_unfinished_redeploy_stopped_is_not_started_before_a_stop(self):
        old = web(1, **STOPPED)
        old["Name"] = "/hello_web_1.windlass-old.111111111111.r"
        new = web(1, "2" * 12, **STOPPED)
        new["Name"] = "/hello_web_1.windlass-new.111111111111.r"
        words = [operation.describe() for operation in plan("stop", old, new).operations()]
        assert not [word for word in words if word.startswith("start ")]
        assert "rename hello_web_1.windlass-old.111111111111.r to hello_web_1" in words


class TestStart:
    def test_what_others_depend_on_is_started_before_them_and_all_are_watched(self):
        assert (
            text("start", web(1, **STOPPED), web(2, **STOPPED), worker(**STOPPED))
            == """\
start hello
1. 2 side by side (start of hello)
   - start hello_web_1
   - start hello_web_2
2. start hello_worker_1 (start of hello)
3. watch hello_web_1, hello_web_2, hello_worker_1 until healthy, or for 5 s (start of hello)
"""
        )

    @pytest.mark.parametrize(
        ("condition", "wait"),
        [
            ("service_healthy", "watch hello_web_1 until healthy, or for 5 s"),
            ("service_completed_successfully", "wait until hello_web_1 ends with success"),
        ],
    )
    def test_a_container_waits_for_anothers_health_or_completion_if_it_depends_on_it(self, condition, wait):
        assert (
            text("start", web(1, **STOPPED), worker(f"web:{condition}:true", **STOPPED))
            == f"""\
start hello
1. start hello_web_1 (start of hello)
2. {wait} (the next containers wait for it)
3. start hello_worker_1 (start of hello)
4. watch hello_worker_1 until healthy, or for 5 s (start of hello)
"""
        )

    def test_what_runs_already_is_left(self):
        assert "hello_web_1" not in text("start", web(1), web(2, **STOPPED))
        assert plan("start", web(1)).is_empty()

    def test_a_container_that_an_earlier_attempt_started_is_still_watched(self):
        before = snapshot(web(1, **STOPPED), web(2))
        assert (
            text("start", web(1), web(2), before=before)
            == """\
start hello
1. watch hello_web_1 until healthy, or for 5 s (start of hello)
"""
        )

    def test_a_paused_one_cannot_be_started(self):
        assert refusal("start", web(state="paused")) == "paused"


class TestRestart:
    def test_containers_restart_one_after_the_other_each_healthy_before_the_next_and_stopped_ones_stay_stopped(self):
        assert (
            text("restart", worker(), web(1), web(2, **STOPPED), web(3))
            == """\
restart hello
1. restart hello_web_1 (restart of hello)
2. watch hello_web_1 until healthy, or for 5 s (restart of hello)
3. restart hello_web_3 (restart of hello)
4. watch hello_web_3 until healthy, or for 5 s (restart of hello)
5. restart hello_worker_1 (restart of hello)
6. watch hello_worker_1 until healthy, or for 5 s (restart of hello)
"""
        )

    def test_what_runs_in_its_network_is_restarted_after_it(self):
        assert (
            text("restart", web(1), sidecar(), sidecar("idle", container_id="d" * 12, state="exited"), container="hello_web_1")
            == """\
restart hello_web_1
1. restart hello_web_1 (restart of hello_web_1)
2. watch hello_web_1 until healthy, or for 5 s (restart of hello_web_1)
3. restart sidecar (it shares a namespace with a container that is restarted before it)
4. watch sidecar until healthy, or for 5 s (it shares a namespace with a container that is restarted before it)
"""
        )

    def test_what_an_earlier_attempt_did_is_not_done_again(self):
        before = snapshot(web(1), web(2), web(3))
        done, stopped = web(1), web(2, **STOPPED)
        done["State"]["StartedAt"] = "2030-01-01T00:00:00Z"
        assert (
            text("restart", done, stopped, web(3), before=before)
            == """\
restart hello
1. watch hello_web_1 until healthy, or for 5 s (restart of hello)
2. start hello_web_2 (restart of hello)
3. watch hello_web_2 until healthy, or for 5 s (restart of hello)
4. restart hello_web_3 (restart of hello)
5. watch hello_web_3 until healthy, or for 5 s (restart of hello)
"""
        )

    def test_what_does_not_run_is_not_restarted(self):
        assert plan("restart", web(1, **STOPPED)).is_empty()


class TestDelete:
    def test_containers_are_removed_with_their_anonymous_volumes_and_then_the_projects_networks(self):
        assert (
            text("delete", web(1), web(2, **STOPPED), worker(), networks={"n1": "hello_back", "n2": "hello_default"})
            == """\
delete hello
note: named volumes are kept: hello_data
1. stop hello_worker_1 (delete of hello)
2. remove hello_worker_1 and its anonymous volumes (delete of hello)
3. 2 side by side (delete of hello)
   - stop hello_web_1; remove hello_web_1 and its anonymous volumes
   - remove hello_web_2 and its anonymous volumes
4. remove the anonymous volume 3c5f9810d3f2 unless it is used elsewhere (no remaining container needs it)
5. remove the network hello_back unless it is used elsewhere (Compose created it for the project)
6. remove the network hello_default unless it is used elsewhere (Compose created it for the project)
"""
        )

    def test_a_network_that_another_application_uses_stays(self):
        stranger = load_container("hello_web_1", "blog_web_1", "b" * 12, labels={"com.docker.compose.project": "blog"})
        planned = plan("delete", web(1, **STOPPED), stranger, networks={"n": "hello_default"})
        assert planned.notes[0] == "the network hello_default is kept: blog_web_1 uses it"
        assert "remove the network" not in planned.as_text()

    def test_one_container_leaves_the_networks(self):
        assert (
            text("delete", web(1, **STOPPED), web(2), container="hello_web_1", networks={"n": "hello_default"})
            == """\
delete hello_web_1
1. remove hello_web_1 and its anonymous volumes (delete of hello_web_1)
"""
        )

    def test_an_anonymous_volume_that_a_recreate_attached_by_name_is_removed_too(self):
        container = with_volume(web(1, **STOPPED))
        assert f"remove the anonymous volume {VOLUME[:12]} unless it is used elsewhere" in text("delete", container)

    def test_it_is_also_removed_when_an_earlier_attempt_removed_its_container(self):
        before = snapshot(with_volume(web(1)), web(2))
        assert f"remove the anonymous volume {VOLUME[:12]}" in text("delete", web(2), before=before)

    def test_it_stays_if_another_container_has_it(self):
        other = with_volume(load_container("joiner", "backup", "a" * 12))
        assert "remove the anonymous volume" not in text("delete", with_volume(web(1, **STOPPED)), other)

    def test_an_auto_removed_container_is_not_removed_twice(self):
        assert (
            text("delete", web(1, AutoRemove=True))
            == """\
delete hello
1. stop hello_web_1, which removes it (delete of hello)
"""
        )

    def test_leftovers_of_an_unfinished_redeploy_are_deleted_too(self):
        old, new = web(1), web(1, "2" * 12)
        new["Name"] = "/hello_web_1.windlass-new.111111111111.r"
        words = [operation.describe() for step in plan("delete", old, new).steps for operation in step.operations]
        assert "2 side by side" in words
        assert plan("delete", old, new, container="hello_web_1").affected == plan("delete", old, new).affected

    def test_a_target_that_no_longer_exists_leaves_nothing_to_do(self):
        assert plan("delete").is_empty()
        assert not plan("delete", networks={"n": "hello_default"}).is_empty()


def with_volume(details):
    details["HostConfig"]["Binds"] = [f"{VOLUME}:/data"]
    details["Mounts"] = [{"Type": "volume", "Name": VOLUME, "Destination": "/data", "RW": True}]
    return details


@pytest.mark.parametrize("act", ["stop", "start", "restart", "delete"])
class TestRefusals:
    @pytest.mark.parametrize("state", ["running", "exited"])
    def test_what_is_protected_is_never_touched(self, act, state):
        protected = {"windlass.protected": "true"}
        assert refusal(act, web(1), web(2, labels=protected, state=state)) == "protected"
        assert refusal(act, web(1, labels=protected), container="hello_web_1") == "protected"

    def test_the_consoles_own_container_is_never_touched(self, act, monkeypatch):
        own = sidecar()
        monkeypatch.setattr("clusters.engine.names.find_own_container_id", lambda: own["Id"])
        assert refusal(act, web(1), own) == "protected"

    def test_one_beside_a_protected_container_may_be(self, act):
        plan(act, web(1), web(2, labels={"windlass.protected": "true"}), container="hello_web_1")


@pytest.mark.parametrize("act", ["stop", "start", "restart"])
def test_a_container_that_does_not_exist_is_not_found(act):
    assert refusal(act, web(1), container="hello_web_9") == "not_found"


def test_an_act_can_be_limited_to_one_service():
    assert "hello_worker_1" not in text("stop", web(1), worker(), service="web")
    assert plan("stop", web(1), worker(), service="web").title == "stop hello/web"

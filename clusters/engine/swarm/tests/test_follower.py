import re

from clusters.engine.driver import Target
from clusters.engine.fakes.fake_engine import CRASHES
from clusters.engine.fakes.fake_logs import cut_pieces
from clusters.engine.swarm import follower, manager
from clusters.engine.swarm.tests.executing import run


def test_progress_is_reported_only_when_it_changes(fake):
    reported = [shown for shown in run(fake).progress if shown[0] == "web"]
    assert reported == [("web", 0, 2), ("web", 1, 2), ("web", 2, 2)]


class SlowClock:
    """A clock that moves only during sleeps and slow requests."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def test_slow_looks_continue_until_they_have_seen_the_monitor_period(fake, monkeypatch):
    monkeypatch.setattr(manager, "time", clock := SlowClock())
    monkeypatch.setattr(follower, "POLL_SECONDS", 0.25)
    fake.swarm.find_service("shop_web").spec["Labels"]["windlass.update.monitor"] = "1s"
    answered = []  # to the looks that were taken of converged tasks

    def answer(called):
        if called == "list_nodes":  # the last request of a look, and it takes long
            clock.sleep(0.25)
            updated = [task for task in fake.swarm.tasks if task.spec.get("ForceUpdate") == 1 and task.state == "running"]
            answered.extend([clock.now] if len(updated) == 2 else [])

    fake.before_request = answer
    assert run(fake, Target("shop", "stack", "web")).outcome.state == "succeeded"
    assert answered[-1] - 0.25 - answered[0] >= 1


def test_when_nothing_changes_the_call_says_for_what_it_waits_and_until_when(fake, monkeypatch):
    monkeypatch.setattr(manager, "time", SlowClock())
    monkeypatch.setattr(follower, "QUIET_POLL_SECONDS", 1.0)
    monkeypatch.setattr(follower, "POLL_SECONDS", 1.0)
    for hostname in ("manager1", "worker1", "worker2"):
        fake.swarm.set_node(hostname, availability="drain")
    drive = run(fake, Target("shop", "stack", "web"))
    assert drive.outcome.state == "failed"
    waits = [text for _, operation, text in drive.events if operation == "wait"]
    assert waits
    moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    form = rf"Waiting for shop_web: 0 of 2 tasks are ready. Without a change the call gives up at {moment} at the latest\."
    assert [text for text in waits if not re.fullmatch(form, text)] == []
    assert len(waits) < 4


def test_what_a_failed_task_printed_is_kept_with_the_image_that_was_tried(fake):
    image_id = fake.publish("web:1", Cmd=CRASHES)

    def print_first(method):
        if method == "open_logs":
            for task in fake.swarm.tasks:
                if task.state == "failed" and task.id not in fake.logs:
                    fake.logs[task.id] = cut_pieces(1, "stderr", b"error: no disk\n")

    fake.before_request = print_first
    drive = run(fake, Target("shop", "stack", "web"))
    assert drive.outcome.state != "succeeded"
    evidence = drive.evidence[0]
    assert evidence.name.startswith("web.")
    assert (evidence.service, evidence.image, evidence.image_id) == ("web", "web:1", fake.digest_of(image_id))
    assert evidence.first_error == "error: no disk"
    assert len({found.id for found in drive.evidence}) == len(drive.evidence)

"""The timeline of a call, with one line for each container."""

from datetime import timedelta

import pytest
from django.utils import timezone

from clusters.engine.snapshot import Snapshot
from console.pages.calls.folding import fold_timeline, list_container_names
from console.pages.calls.timeline import build_timeline
from console.pages.tests.reading import text_of, words_of
from triggers.models import CallState, TriggerCallEvent
from triggers.tests.factories import TriggerCallFactory

pytestmark = pytest.mark.django_db
NEW = "shop-web-1.windlass-new.111111111111.r"
OLD = "shop-web-1.windlass-old.111111111111.r"
REDEPLOY = [
    ("info", "pull", "pull shop-web-1:latest"),
    ("info", "create", f"create {NEW} from app:1"),
    ("info", "create", "create shop-web-2.windlass-new.222222222222.r from app:1"),
    ("info", "start", f"start {NEW}"),
    ("info", "watch", f"watch {NEW} until healthy, or for 5 s"),
    ("info", "watch", "shop-web-1 is healthy"),
    ("info", "rename", f"rename {NEW} to shop-web-1"),
    ("info", "remove", f"remove {OLD}"),
]


def make_call(events, **fields):
    now = timezone.now() - timedelta(minutes=1)
    names = [{"name": name, "id": "1"} for name in ("shop-web-1", "shop-web-2")]
    before = {"services": {"web": {"containers": names}}}
    times = {"started_at": now, "completed_at": now + timedelta(seconds=len(events))}
    call = TriggerCallFactory(before=before, **{"state": CallState.SUCCEEDED, "message": "Done.", **times, **fields})
    for number, (level, operation, text) in enumerate(events):
        time = now + timedelta(seconds=number)
        TriggerCallEvent.objects.create(call=call, time=time, level=level, operation=operation, text=text)
    return call


def fold(call):
    return fold_timeline(build_timeline(call, call.message), list_container_names(call))


def test_a_container_has_one_line_with_its_result_and_its_operations_below():
    pull, first, second = fold(make_call(REDEPLOY))
    assert (pull.name, pull.is_folded, pull.headline) == ("", False, "pull shop-web-1:latest")
    assert (first.name, first.headline, len(first.entries)) == ("shop-web-1", "shop-web-1 is healthy", 6)
    assert first.took == timedelta(seconds=6)
    assert (second.name, second.is_folded) == ("shop-web-2", False)


def test_after_a_rollback_has_begun_a_container_has_another_line():
    events = [*REDEPLOY[1:2], ("warning", "watch", "shop-web-1 printed: error in shop-web-2"), REDEPLOY[3]]
    events += [
        ("error", "rollback", "shop-web-1 is unhealthy."),
        ("info", "stop", f"stop {NEW}"),
        ("info", "remove", f"remove {NEW}"),
    ]
    tried, rollback, undone = fold(make_call(events, state=CallState.ROLLED_BACK))
    assert (tried.level, tried.headline) == ("warning", "shop-web-1 printed: error in shop-web-2")
    assert (rollback.name, rollback.level) == ("", "error")
    assert (undone.name, undone.headline) == ("shop-web-1", f"remove {NEW}")


def test_what_is_about_several_containers_stands_alone():
    both = ("info", "watch", "watch shop-web-1, shop-web-2 until healthy, or for 5 s")
    assert [group.name for group in fold(make_call([both, REDEPLOY[3]]))] == ["", "shop-web-1"]


def test_a_running_call_shows_what_is_done_at_the_moment():
    [group] = fold(make_call([REDEPLOY[1], REDEPLOY[5], REDEPLOY[6]], state=CallState.RUNNING, completed_at=None))
    assert group.is_current
    assert group.headline == REDEPLOY[6][2]


def test_a_scaling_folds_what_it_creates_and_a_swarms_tasks_are_no_containers():
    events = [("info", "create", "create shop-web-3 from app:1"), ("info", "start", "start shop-web-3")]
    assert [group.name for group in fold(make_call(events))] == ["shop-web-3"]
    task = {"services": {"web": {"containers": [{"name": "web.1", "node": "quay"}]}}}
    call = TriggerCallFactory(before=task)
    assert Snapshot.from_json(task)
    assert list_container_names(call) == set()


def test_the_page_folds_and_does_not_repeat_the_verdict(reader):
    images = f"1 of web with sha256:{'a' * 12} (x), 1 of db with sha256:{'b' * 12} (y)"
    digests = f"2 containers of shop were replaced and run: {images}. More."
    call = make_call([*REDEPLOY, ("info", "end", digests)], message=digests)
    response = reader.get(f"/calls/{call.pk}/")
    assert response.context["summary"].endswith("2 containers of shop were replaced and run. More.")
    assert "were replaced and run: " not in words_of(response)
    text = text_of(response)
    assert text.count("<summary>") == 1 + ("Plan" in text)
    assert "<b><bdi>shop-web-1</bdi></b> <bdi>shop-web-1 is healthy</bdi>" in text

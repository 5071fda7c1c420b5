"""Logs of real containers and of real Swarm tasks."""

from pathlib import Path

import docker

from clusters.engine.connection.client import EngineClient
from clusters.engine.logs.cursor import LogCursor
from clusters.engine.logs.portions import LogSource, read_newest, read_since, read_whole
from tests.harness.engine import PrivateEngine
from tests.harness.eventually import eventually
from tests.harness.images import BASE
from tests.harness.projects import create_container
from tests.harness.swarm import PrivateSwarm

# Prints each numbered file that appears in /tmp/in, in order.
ECHOES = "mkdir /tmp/in; n=0; while true; do n=$((n+1)); while [ ! -e /tmp/in/$n ]; do sleep 0.1; done; cat /tmp/in/$n; done"


def run(api: docker.APIClient, name: str, script: str, **config: object) -> LogSource:
    create_container(api, name, BASE, Cmd=["/bin/sh", "-c", script], **config)
    return LogSource("containers", api.inspect_container(name)["Id"], name)


def say(api: docker.APIClient, name: str, number: int, text: str) -> None:
    """Let the container print the text as its `number`-th line."""
    script = f"echo '{text}' > /tmp/line; busybox ln /tmp/line /tmp/in/{number}; busybox rm /tmp/line"
    execution = api.exec_create(name, ["/bin/busybox", "sh", "-c", script])
    api.exec_start(execution["Id"])
    assert api.exec_inspect(execution["Id"])["ExitCode"] == 0


def test_logs_of_running_and_stopped_containers_are_interleaved_and_followed(
    engine: PrivateEngine, api: docker.APIClient
) -> None:
    web, ended = run(api, "web", ECHOES), run(api, "ended", "echo before the end")
    eventually(lambda: api.inspect_container("ended")["State"]["Status"] == "exited")
    with EngineClient(engine.endpoint) as client:
        sources = [web, ended]
        portion = read_newest(client, sources, 100)
        assert [(line.source, line.text) for line in portion.lines] == [("ended", "before the end")]
        shown: list[str] = []
        for number in (1, 2, 3):
            say(api, "web", number, f"line {number}")

            def see_more(wanted: int = number) -> bool:
                nonlocal portion
                portion = read_since(client, sources, LogCursor.decode(portion.cursor.encode()))
                shown.extend(line.text for line in portion.lines)
                return len(shown) >= wanted

            eventually(see_more)
        assert shown == ["line 1", "line 2", "line 3"]
        whole = [line.text for line in read_whole(client, sources)]
        assert whole == ["before the end", *shown]


def test_a_log_of_a_hundred_thousand_lines_is_read_in_limited_portions(
    engine: PrivateEngine, api: docker.APIClient, tmp_path: Path
) -> None:
    big = run(api, "big", "i=0; while [ $i -lt 100000 ]; do echo line $i; i=$((i+1)); done; sleep 1000")
    # A busy engine still writes the log when the lines have been printed.
    eventually(lambda: api.logs("big", tail=1) == b"line 99999\n", within=60)
    with EngineClient(engine.endpoint) as client:
        newest = read_newest(client, [big], 1000)
        numbers = [int(line.text.removeprefix("line ")) for line in newest.lines]
        assert (len(numbers), numbers == [*range(99_000, 100_000)]) == (1000, True)
        assert read_since(client, [big], newest.cursor).lines == ()
        portion = read_since(client, [big], LogCursor())
        count = len(portion.lines)
        assert (count, portion.more) == (10_000, True)
        portion = read_since(client, [big], portion.cursor)
        assert portion.lines[0].text == f"line {count}"


def test_tasks_of_a_swarm_are_interleaved_by_slot_and_followed(swarm: PrivateSwarm) -> None:
    script = "trap 'exit 0' TERM; echo hello from $SLOT; sleep 1; echo again from $SLOT >&2; sleep 100000 & wait"
    image = swarm.publish("talker", Cmd=["/bin/sh", "-c", script])
    swarm.create_service("web", image, "--replicas", "2", "--env", "SLOT={{.Task.Slot}}")
    tasks = swarm.wait_for_tasks("web", 2)
    sources = [LogSource("tasks", task["ID"], f"web.{task['Slot']}") for task in tasks]
    shown: set[tuple[str, str, str]] = set()
    with EngineClient(swarm.endpoint) as client:
        portion = read_newest(client, sources, 100)
        count = len(portion.lines)
        shown.update((line.source, line.stream, line.text) for line in portion.lines)

        def see_all() -> bool:
            nonlocal portion, count
            portion = read_since(client, sources, portion.cursor)
            count += len(portion.lines)
            shown.update((line.source, line.stream, line.text) for line in portion.lines)
            return len(shown) >= 4

        eventually(see_all)
    expected = {("stdout", "hello from {}"), ("stderr", "again from {}")}
    assert shown == {(f"web.{slot}", stream, text.format(slot)) for slot in (1, 2) for stream, text in expected}
    assert count == 4  # no line came twice


def test_a_task_that_runs_nowhere_is_a_notice(swarm: PrivateSwarm) -> None:
    image = swarm.publish("talker")
    swarm.create_service("nowhere", image, "--constraint", "node.hostname==elsewhere", "--detach")
    [task] = eventually(lambda: swarm.list_tasks("nowhere"))
    with EngineClient(swarm.endpoint) as client:
        portion = read_newest(client, [LogSource("tasks", task["ID"], "nowhere.1")], 100)
    assert portion.lines == ()
    assert "has not been scheduled" in portion.notices[0].text

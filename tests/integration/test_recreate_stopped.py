"""A redeploy starts what has crashed or does not run, and runs one-shots that others wait for."""

import re
from collections.abc import Callable
from typing import Any

import docker
import pytest

from clusters.engine.driver import Intent
from clusters.engine.fakes.fake_engine import SERVES
from clusters.engine.snapshot import ContainerSnapshot
from tests.harness.driving import redeploy
from tests.harness.engine import PrivateEngine
from tests.harness.eventually import eventually
from tests.harness.images import SERVE
from tests.harness.projects import Project, list_names, list_running, read_ids, run_in

ImageMaker = Callable[..., str]
AFTER_MIGRATE = {"com.docker.compose.depends_on": "migrate:service_completed_successfully:false"}


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def state(api: docker.APIClient, name: str) -> dict[str, Any]:
    return dict(api.inspect_container(name)["State"])


def wait_for_exit(api: docker.APIClient, *names: str) -> None:
    eventually(lambda: all(state(api, name)["Status"] == "exited" for name in names))


def test_a_mended_image_brings_up_what_crashed_and_the_answer_counts_what_runs(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image(Cmd=shell("exit 3"))
    crashed = project.add("web", app)
    killed = project.add("worker", app, Cmd=SERVE)
    created = project.add("late", app, start=False)
    kept = project.add("kept", app, labels={"windlass.update.stopped": "keep"})
    job = project.add("job", app, Cmd=["/bin/true"])
    by_user = project.add("idle", app, Cmd=SERVE)
    api.kill(killed)
    api.stop(by_user)
    wait_for_exit(api, crashed, killed, kept, job, by_user)
    assert state(api, crashed)["ExitCode"] == 3
    left = api.inspect_container(by_user)
    stopped = {by_user: ContainerSnapshot(by_user, left["Id"], state="exited", started_at=left["State"]["StartedAt"])}

    drive = redeploy(engine, intent=Intent(stopped=stopped))
    assert drive.state == "rolled_back", "the image is not mended yet"
    assert list_running(api) == set()
    assert drive.outcome
    assert re.search(r"stopped, as before|are stopped|is stopped", drive.outcome.message)
    assert "running again" not in drive.outcome.message

    new_image = api.inspect_image(image(app, Cmd=SERVE))["Id"]
    drive = redeploy(engine, intent=Intent(stopped=stopped))
    assert drive.outcome
    assert drive.state == "succeeded", drive.outcome.message
    assert list_running(api) == {crashed, killed, created}
    assert list_names(api) == {crashed, killed, created, kept, job, by_user}
    assert {api.inspect_container(name)["Image"] for name in list_names(api)} == {new_image}
    message = drive.outcome.message
    assert message.startswith(f"3 containers of shop now run {new_image[:19]} ({app}).")
    for name, reason in ((kept, "its label says so"), (job, "it completed its work"), (by_user, "it was stopped in Windlass")):
        assert f"{name} was replaced and stays stopped: {reason}" in message

    again = redeploy(engine, intent=Intent(stopped=stopped))
    assert again.outcome
    assert by_user in again.outcome.message


def test_a_migration_runs_with_the_new_image_before_what_waits_for_it(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    def build(version: str, code: int = 0, reference: str = "") -> str:
        script = f'echo {version} >> /data/ran; test "$1" != migrate || exit {code}; trap "exit 0" TERM; sleep 100000 & wait'
        return image(reference, Entrypoint=["/bin/sh", "-c", script, "run"], Cmd=["serve"])

    app = build("one")
    data = {"HostConfig": {"Binds": ["shop_data:/data"]}}
    migrate = project.add("migrate", app, Cmd=["migrate"], **data)
    wait_for_exit(api, migrate)
    web = project.add("web", app, labels=AFTER_MIGRATE, **data)

    def read_runs() -> list[str]:
        return run_in(api, web, "/bin/cat", "/data/ran")[1].split()

    build("two", reference=app)
    assert redeploy(engine).state == "succeeded"
    eventually(lambda: read_runs() == ["one", "one", "two", "two"])
    assert (list_running(api), list_names(api)) == ({web}, {web, migrate})
    assert state(api, migrate)["ExitCode"] == 0

    before = read_ids(api)
    build("three", 7, reference=app)
    drive = redeploy(engine)
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("rolled_back", "exited")
    assert f"{migrate} did not complete its work (exit code 7)." in drive.outcome.message
    assert drive.outcome.message.endswith("The previous container is stopped, as before.")
    assert (read_ids(api), list_running(api)) == (before, {web})
    assert read_runs() == ["one", "one", "two", "two", "three"]


def test_a_step_of_the_new_image_and_a_check_stand_around_the_replacement(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    def build(version: str, port: int = 8080, reference: str = "") -> str:
        script = (
            f'test "$1" = serve || {{ echo "$1 with {version}" >> /data/ran; echo "error: $2" >&2; exit $3; }}; {SERVES[2]}'
        )
        return image(reference, Entrypoint=["/bin/sh", "-c", script.replace("8080", str(port)), "run"], Cmd=["serve"])

    def labels(code: int) -> dict[str, str]:
        return {
            "windlass.predeploy": f"migrate 'no table' {code}",
            "windlass.check": "http://:8080/index.html",
            "windlass.check.timeout": "2s",
        }

    app = build("one")
    data = {"HostConfig": {"NetworkMode": "none", "Binds": ["shop_data:/data"]}}
    web = project.add("web", app, labels=labels(0), **data)

    def read_runs() -> list[str]:
        return run_in(api, web, "/bin/cat", "/data/ran")[1].splitlines()

    build("two", reference=app)
    drive = redeploy(engine)
    assert drive.state == "succeeded", drive.outcome
    assert (read_runs(), list_names(api)) == (["migrate with two"], {web})
    assert f"{web} passed its check: http://:8080/index.html answered 200 OK" in drive.texts("info")

    before = read_ids(api)
    build("three", port=8081, reference=app)
    drive = redeploy(engine)
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("rolled_back", "check_failed")
    assert drive.outcome.message == (
        f"{web} did not pass its check within 2 s: http://:8080/index.html did not answer (Connection refused)."
        " The previous container is running again."
    )
    assert (read_ids(api), list_running(api)) == (before, {web})

    api.remove_container(web, force=True)
    web = project.add("web", app, labels=labels(3), **data)
    before = read_ids(api)
    drive = redeploy(engine)
    assert drive.outcome
    assert (drive.state, drive.outcome.reason) == ("failed", "predeploy_failed")
    assert drive.outcome.message == "The pre-deploy step of web failed (exit code 3). Nothing was touched."
    assert [item.first_error for item in drive.evidence] == ["error: no table"]
    assert (read_ids(api), list_running(api)) == (before, {web})


@pytest.mark.parametrize("is_mended", [False, True])
def test_a_whole_application_that_is_down_comes_up_or_stays_as_it_was(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker, is_mended: bool
) -> None:
    always = {"HostConfig": {"RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0}}}
    app = image()
    web, worker = project.add("web", app, **always), project.add("worker", app, **always)
    for name in (web, worker):
        api.stop(name)
    before = read_ids(api)
    image(app, Cmd=SERVE if is_mended else shell("exit 4"))
    drive = redeploy(engine)
    if is_mended:
        assert (drive.state, list_running(api)) == ("succeeded", {web, worker})
        return
    assert (drive.state, list_running(api), read_ids(api)) == ("rolled_back", set(), before)
    assert drive.outcome
    assert drive.outcome.message.endswith("The previous container is stopped, as before.")
    policies = {api.inspect_container(name)["HostConfig"]["RestartPolicy"]["Name"] for name in before}
    assert policies == {"unless-stopped"}

"""Which changed files were copied into a container before its start."""

import pytest

from clusters.engine.connection.file_requests import StoredFile
from clusters.engine.driver import Target
from clusters.engine.drivers import driver_for
from clusters.engine.errors import EngineRefused, PlanRefused
from clusters.engine.fakes.fake_engine import FakeEngine
from clusters.engine.standalone import copied_files
from clusters.engine.standalone.copied_files import ChangedFile, Lifetime, find_copied_files, judge
from clusters.engine.standalone.inspected import make_container

CREATED, STARTED = 1000.25, 1010.75
FIRST = Lifetime(CREATED, STARTED, ran_until=0, is_first_run=True)
RESTARTED = Lifetime(CREATED, 2010.75, ran_until=2009.5, is_first_run=False)
ENDED = Lifetime(CREATED, 2010.75, ran_until=0, is_first_run=False)
LABELS = {"windlass.update.monitor": "0s"}


def changed(path="/etc/app.conf", modified=1005.0, folder=1005.1, *, is_new=True, new_folder=0.0):
    return ChangedFile(path, 10, modified, modified == int(modified), is_new, folder, new_folder)


@pytest.mark.parametrize(
    ("file", "life", "verdict"),
    [
        (changed(), FIRST, True),
        (changed(modified=1011.0), FIRST, True),  # rounded up past the start
        (changed(modified=1050.0), FIRST, True),  # the copying program's clock is ahead
        (changed(modified=1005.0, folder=3000.5), FIRST, True),
        (changed(modified=0.0, folder=1005.1), FIRST, True),  # put in before the start with an older time
        (changed(modified=1005.3), FIRST, True),
        (changed(modified=1010.6), FIRST, False),  # the engine notes the start a little later
        (changed(modified=1010.9), FIRST, False),
        (changed(modified=1500.0), FIRST, False),
        (changed(modified=500.0, folder=400.5, is_new=False), FIRST, False),  # its owner was changed
        (changed(modified=1000.0, folder=400.5, is_new=False), FIRST, False),  # of an image that was built just before
        (changed(modified=1005.0, folder=1005.1, is_new=False), FIRST, True),  # a file of the image was replaced
        (changed(modified=500.0, folder=1500.5, is_new=False), FIRST, False),
        (changed(modified=500.0, folder=1500.5), FIRST, None),
        (changed(modified=500.0, folder=1500.5, new_folder=1500.4), FIRST, False),  # unpacked into a folder of its own
        (changed("/var/lib/app/x", modified=500.0, folder=1500.5), FIRST, False),
        (changed("/etc/passwd-", modified=500.0, folder=1500.5), FIRST, False),
        (changed("/run/secrets/token", modified=1500.5), FIRST, True),
        (changed(modified=1005.0), RESTARTED, True),
        (changed(modified=1500.5, folder=1500.5), RESTARTED, False),
        (changed(modified=2010.0, folder=2010.1), RESTARTED, True),  # copied again before the second start
        (changed(modified=2010.2, folder=2010.3), RESTARTED, False),
        (changed(modified=1995.2, folder=1995.3), Lifetime(CREATED, 2010.75, 1990.5, is_first_run=False), True),
        (changed(modified=500.0, folder=1005.1), RESTARTED, None),
        (changed(modified=1005.3, folder=1005.3), ENDED, False),
        (changed(modified=1005.0), ENDED, True),
        (changed(modified=1500.5), Lifetime(CREATED, 0, 0, is_first_run=False), True),
    ],
)
def test_times_tell_copies_from_what_the_container_wrote(file, life, verdict):
    assert judge(file, life) is verdict


@pytest.fixture
def fake():
    engine = FakeEngine()
    engine.add_image("app:1")
    return engine


def run(fake, *files, labels=LABELS, start=True, **config):
    container = fake.run("web", "app:1", start=False, Labels=labels, **config)
    if files:
        fake.write_files(container, files, 0)
    if start:
        fake.start_container(container)
    return container


def make_file(path, content=b"x"):
    return StoredFile(path, "file", 0o640, (1000, 1000), content=content)


def find(fake, container):
    return find_copied_files(fake, make_container(fake.inspect_container(container)))


def test_one_request_is_enough_where_nothing_was_changed(fake):
    container = run(fake)
    fake.requests.clear()
    assert not find(fake, container).paths
    assert fake.requests == ["inspect_container", "list_changes"]


def test_a_container_that_can_have_no_files_is_not_asked_for(fake):
    container = run(fake, HostConfig={"ReadonlyRootfs": True})
    fake.requests.clear()
    find(fake, container)
    assert fake.requests == ["inspect_container"]


def test_what_lies_on_a_mount_is_left_out(fake):
    paths = ("/etc/app.conf", "/data", "/data/x", "/cache/y", "/dataset")
    container = run(fake, *map(make_file, paths), HostConfig={"Binds": ["data:/data"], "Tmpfs": {"/cache": ""}})
    assert find(fake, container).paths == ("/dataset", "/etc/app.conf")


@pytest.mark.parametrize(("label", "paths"), [("none", ()), ("/etc/a, /etc/c", ("/etc/a",)), ("/etc/../etc/b", ("/etc/b",))])
def test_the_label_decides(fake, label, paths):
    container = run(fake, make_file("/etc/a"), make_file("/etc/b"), labels={"windlass.update.files": label})
    assert find(fake, container).paths == paths


def test_too_many_bytes_are_a_doubt(fake):
    container = run(fake, *(make_file(f"/etc/{number}", b"x" * (9 << 20)) for number in range(2)))
    assert "more files that were copied in before its start than can be kept" in find(fake, container).doubt


def test_of_many_files_those_in_the_emptiest_folders_are_looked_at(fake):
    container = run(fake, make_file("/etc/app.conf"))
    for number in range(1500):
        fake.write_file(container, f"/srv/cache/{number}")
    fake.requests.clear()
    assert find(fake, container).paths == ("/etc/app.conf",)
    assert fake.requests.count("stat_file") < 1010


def test_a_copied_folder_with_more_files_than_can_be_looked_at_is_a_doubt(fake, monkeypatch):
    monkeypatch.setattr(copied_files, "MOST_LOOKS", 10)
    container = run(fake, *(make_file(f"/srv/{number}") for number in range(11)))
    assert "more files that were copied in before its start than can be kept" in find(fake, container).doubt


def redeploy(fake):
    driver = driver_for("container")
    plan = driver.plan_redeploy(driver.observe(fake, Target("web", "container")))
    return driver.execute(fake, plan, lambda *event: None, lambda: None)


def test_an_engine_that_does_not_show_the_changes_refuses_the_redeploy_untouched(fake):
    run(fake)

    def refuse(method):
        if method == "list_changes":
            raise EngineRefused("a proxy forbids it")

    fake.before_request = refuse
    with pytest.raises(PlanRefused, match=r"does not show what was copied into web: a proxy forbids it\. The label"):
        redeploy(fake)


def test_a_refused_copy_leaves_the_old_container_running(fake):
    container = run(fake, make_file("/etc/app.conf"), HostConfig={"Binds": ["data:/data"]})
    fake.add_image("app:1", Env=["VERSION=2"])

    def refuse(method):
        if method == "write_files":
            raise EngineRefused("no space left on device")

    fake.before_request = refuse
    outcome = redeploy(fake)
    assert (outcome.state, outcome.message) == (
        "rolled_back",
        "no space left on device. The previous container is running again.",
    )
    assert fake.inspect_container("web")["Id"] == container
    assert not any(operation.startswith("stop") for operation in fake.operations)


def test_a_doubt_does_not_keep_an_unfinished_redeploy_from_being_repaired(fake):
    container = run(fake, make_file("/etc/app.conf"), HostConfig={"Binds": ["data:/data"]})
    fake.stop_container(container)
    fake.run(f"web.windlass-new.{container[:12]}.r", "app:1", start=False, Labels=LABELS)

    def refuse(method):
        if method == "list_changes":
            raise EngineRefused("a proxy forbids it.")

    fake.before_request = refuse
    outcome = redeploy(fake)
    assert (outcome.state, outcome.reason) == ("failed", "copied_files")
    assert outcome.message.endswith("Nothing was replaced. An unfinished earlier redeploy was cleaned up first.")
    assert fake.running() == {"web"}

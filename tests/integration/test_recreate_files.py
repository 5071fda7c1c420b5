"""Files that were copied into a container before its start are in its successor and in its clones."""

import io
import tarfile
import time
from collections.abc import Callable
from typing import Any

import docker
import pytest

from clusters.engine.errors import PlanRefused
from tests.harness.driving import redeploy, scale
from tests.harness.engine import PrivateEngine
from tests.harness.eventually import eventually
from tests.harness.projects import Project, create_container, list_running, run_in

ImageMaker = Callable[..., str]
# Serves only with its file, and writes files of its own, one of them into the same folder.
NEEDS_FILE = "cat /etc/app.conf && echo pid > /tmp/pid && echo log > /srv/log && trap 'exit 0' TERM; sleep 100000 & wait"
FILES: dict[str, tuple[bytes, int, int]] = {  # content, mode, owner
    "/etc/app.conf": (b"colour = blue\n", 0o640, 1000),
    "/app-config": (b"in the root", 0o444, 0),
    "/run/secrets/token": (b"swordfish", 0o400, 0),
}


def copy_in(api: docker.APIClient, container: str, moment: float | None = None) -> None:
    """Copy FILES into the container as Compose does: an archive for each, with the time of now unless another is given."""
    for path, (content, mode, owner) in FILES.items():
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            entry = tarfile.TarInfo(path)
            entry.mode, entry.uid, entry.gid, entry.size = mode, owner, owner, len(content)
            entry.mtime = round(time.time()) if moment is None else moment
            archive.addfile(entry, io.BytesIO(content))
        assert api.put_archive(container, "/", packed.getvalue())


def add(api: docker.APIClient, project: Project, app: str, moment: float | None = None, number: int = 1, **config: Any) -> str:
    """Create a container, copy FILES into it, and only then start it."""
    web = project.add("web", app, number, start=False, Cmd=["/bin/sh", "-c", NEEDS_FILE], **config)
    copy_in(api, web, moment)
    api.start(web)
    return web


def read_files(api: docker.APIClient, container: str) -> dict[str, tuple[bytes, int, int]]:
    found = {}
    for path in FILES:
        chunks, _ = api.get_archive(container, path)
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            entry = archive.getmembers()[0]
            content = archive.extractfile(entry)
            assert content
            found[path] = (content.read(), entry.mode & 0o7777, entry.uid)
    return found


@pytest.mark.parametrize(
    ("host_config", "moment"),
    [({}, None), ({"Binds": ["shop_data:/data"]}, 0.0)],
    ids=["start-first, with the time of now", "stop-first, with an old time"],
)
def test_files_that_were_copied_in_are_kept_and_what_the_container_wrote_is_not(
    engine: PrivateEngine,
    api: docker.APIClient,
    project: Project,
    image: ImageMaker,
    host_config: dict[str, Any],
    moment: float | None,
) -> None:
    app = image()
    web = add(api, project, app, moment, HostConfig=host_config)
    old = api.inspect_container(web)["Id"]
    for _ in range(2):  # the second one finds the files of a container that Windlass created
        image(app)
        drive = redeploy(engine)
        assert drive.state == "succeeded", drive.outcome
        assert read_files(api, web) == FILES
    assert api.inspect_container(web)["Id"] != old
    copies = [text for _, word, text in drive.events if word == "copy"]
    assert len(copies) == 1
    assert copies[0].startswith("copy /app-config, /etc/app.conf, /run/secrets/token from ")
    assert not any("swordfish" in text for _, _, text in drive.events)
    assert "swordfish" not in drive.plan
    if not host_config:
        assert scale(engine, 2).state == "succeeded"
        assert read_files(api, "shop-web-2") == FILES


def test_files_are_kept_by_a_container_that_the_engine_removes_when_it_stops_and_was_rolled_back_to(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    web = add(api, project, app, HostConfig={"AutoRemove": True, "Binds": ["shop_data:/data"]})
    project.add("job", app)
    image(app, Entrypoint=["/bin/false"])
    assert redeploy(engine, service="web").state == "rolled_back"
    assert read_files(api, web) == FILES
    assert list_running(api) == {web, "shop-job-1"}


def test_a_restarted_container_keeps_its_files_and_not_its_logs(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    app = image()
    web = add(api, project, app)
    run_in(api, web, "sh", "-c", "echo more > /etc/state")
    api.restart(web, timeout=1)
    image(app)
    drive = redeploy(engine)
    assert drive.state == "succeeded", drive.outcome
    assert read_files(api, web) == FILES
    assert run_in(api, web, "ls", "/etc/state")[0] != 0


def test_a_folder_with_a_link_is_kept_and_a_file_of_the_image_is_the_new_images(
    engine: PrivateEngine, api: docker.APIClient, project: Project, image: ImageMaker
) -> None:
    """The container changes the owner of a file of its image, which makes that a changed file with its old time."""
    app = make_image_with(api, image, "/srv/page", b"version 1")
    script = "/bin/busybox chown 1000 /srv/page && trap 'exit 0' TERM; sleep 100000 & wait"
    web = project.add("web", app, start=False, Cmd=["/bin/sh", "-c", script])
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        folder, file, link = tarfile.TarInfo("etc/conf.d"), tarfile.TarInfo("etc/conf.d/a"), tarfile.TarInfo("etc/conf.d/b")
        folder.type, folder.mode, folder.uid = tarfile.DIRTYPE, 0o750, 1000
        link.type, link.linkname = tarfile.SYMTYPE, "a"
        file.size = 1
        archive.addfile(folder)
        archive.addfile(file, io.BytesIO(b"a"))
        archive.addfile(link)
    api.put_archive(web, "/", packed.getvalue())
    api.start(web)
    eventually(lambda: run_in(api, web, "ls", "-ln", "/srv/page")[1].split()[2] == "1000", what="the owner was changed")
    make_image_with(api, image, "/srv/page", b"version 2", app)
    assert redeploy(engine).state == "succeeded"
    assert run_in(api, web, "cat", "/srv/page", "/etc/conf.d/b")[1].strip() == "version 2a"
    assert run_in(api, web, "ls", "-ldn", "/etc/conf.d")[1].split()[:3:2] == ["drwxr-x---", "1000"]


def make_image_with(api: docker.APIClient, image: ImageMaker, path: str, content: bytes, reference: str = "") -> str:
    """Make an image that has a file, with the time of now."""
    app = image(reference) if reference else image()
    container = api.create_container(app)["Id"]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(path)
        entry.size, entry.mtime = len(content), int(time.time())
        archive.addfile(entry, io.BytesIO(content))
    api.put_archive(container, "/", packed.getvalue())
    repository, _, tag = app.rpartition(":")
    api.commit(container, repository=repository, tag=tag)
    api.remove_container(container)
    return app


def test_what_cannot_be_decided_is_refused_and_a_label_decides_it(
    engine: PrivateEngine, api: docker.APIClient, image: ImageMaker
) -> None:
    app = image()
    labels = {"windlass.update.monitor": "600ms"}
    for name, extra in (("doubtful", {}), ("decided", {"windlass.update.files": ", ".join(FILES)})):
        create_container(
            api,
            name,
            app,
            start=False,
            labels=labels | extra,
            Cmd=["/bin/sh", "-c", NEEDS_FILE],
            HostConfig={"ReadonlyRootfs": False},
        )
        copy_in(api, name, 0.0)
        api.start(name)
        run_in(api, name, "touch", "/etc/other")  # from now on the folder no longer shows when the file came
    image(app)
    before = api.inspect_container("doubtful")
    with pytest.raises(
        PlanRefused, match=r"whether /etc/app\.conf in doubtful was copied in .* windlass\.update\.files"
    ) as refusal:
        redeploy(engine, "doubtful", source="container")
    assert refusal.value.code == "copied_files"
    assert api.inspect_container("doubtful") == before
    assert redeploy(engine, "decided", source="container").state == "succeeded"
    assert read_files(api, "decided") == FILES

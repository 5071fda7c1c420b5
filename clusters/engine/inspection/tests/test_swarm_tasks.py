import pytest

from clusters.engine.cleaning import read_time
from clusters.engine.inspection.swarm_tasks import PAST_OF_SERVICE, PAST_OF_SLOT
from clusters.engine.inspection.tests.recorded import DIGEST, swarm_service, swarm_task
from clusters.engine.inspection.tests.swarm_observing import job, job_task, observe_one


def test_an_exit_code_is_that_of_a_container_that_has_ended():
    web = swarm_service("web", replicas=2)
    failed = swarm_task(web, 1, state="failed", exit_code=137, DesiredState="shutdown")
    rejected = swarm_task(web, 2, state="rejected", container="", DesiredState="shutdown")
    codes = {task.state: task.exit_code for task in observe_one(web, failed, rejected, swarm_task(web, 2, second=50)).tasks}
    assert codes == {"failed": 137, "rejected": None, "running": None}


@pytest.mark.parametrize(
    ("reference", "image", "digests"),
    [
        (f"app:1@{DIGEST}", "app:1", [f"app@{DIGEST}"]),
        ("app:1", "app:1", []),
        (
            f"registry.local:5000/team/app:1.2.3@{DIGEST}",
            "registry.local:5000/team/app:1.2.3",
            ["registry.local:5000/team/app"],
        ),
        (f"registry.local:5000/app@{DIGEST}", f"registry.local:5000/app@{DIGEST}", ["registry.local:5000/app"]),
    ],
)
def test_an_image_is_shown_without_the_digest_that_was_resolved_for_it(reference, image, digests):
    web = swarm_service("web", image=reference)
    found = observe_one(web, swarm_task(web))
    assert found.image == image
    assert [digest.partition("@")[0] for digest in found.image_digests] == [digest.partition("@")[0] for digest in digests]
    assert all(digest.endswith(DIGEST) for digest in found.image_digests)
    assert found.tasks[0].image == image


def test_a_few_past_tasks_are_kept_for_each_slot():
    web = swarm_service("web", replicas=2)
    past = [swarm_task(web, slot, second=n, state="failed", DesiredState="shutdown") for n in range(40) for slot in (1, 2)]
    found = observe_one(web, *past, swarm_task(web, 1, second=50), swarm_task(web, 2, second=50))
    assert [(task.slot, task.state) for task in found.tasks[:2]] in (
        [(1, "running"), (2, "running")],
        [(2, "running"), (1, "running")],
    )
    kept = [task for task in found.tasks if task.slot == 1 and task.state == "failed"]
    assert len(kept) == PAST_OF_SLOT
    assert min(task.created_at for task in kept) == read_time("2026-11-23T02:14:35.452118Z")


def test_thousands_of_ended_tasks_are_bounded():
    service = job(MaxConcurrent=1, TotalCompletions=4000)
    found = observe_one(service, *(job_task(service, slot) for slot in range(1, 4000)), job_task(service, 4000, "running"))
    assert len(found.tasks) == PAST_OF_SERVICE + 1
    assert (found.replicas, found.running) == (1, 1)

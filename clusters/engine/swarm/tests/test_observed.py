from clusters.engine.swarm.tests.planning import running, status
from clusters.engine.tests.swarm_recording import APP, PINNED, observe, service, task


def test_the_count_that_a_step_starts_from_is_the_wanted_one():
    assert observe(service(replicas=5), tasks=running(2)).current_count("web") == 5
    spread = observe(service(mode={"Global": {}}), tasks=(task(0, node="node1"), task(0, node="node2")))
    assert spread.current_count("web") == 2


def test_a_snapshot_has_tasks_images_and_the_state_of_updates():
    tasks = (task(1), task(2, node="node2"), task(2, "failed", desired="shutdown", number=1))
    details = service(stack="shop", force_update=3, UpdateStatus=status("completed", "then"))
    for item in tasks:
        item.details["ServiceID"] = details["ID"]
    digest = f"sha256:{'a' * 64}"
    assert observe(details, tasks=tasks).snapshot().to_json() == {
        "version": 1,
        "services": {
            "web": {
                "id": details["ID"],
                "running": 2,
                "wanted": 2,
                "mode": "replicated",
                "image": APP,
                "images": {digest: 2},
                "digests": [PINNED],
                "containers": [
                    {"name": "web.1", "id": tasks[0].id, "image_id": digest, "state": "running", "node": "node1"},
                    {"name": "web.2", "id": tasks[1].id, "image_id": digest, "state": "running", "node": "node2"},
                ],
                "update": {"force_update": 3, "version": 10, "started_at": "then"},
            }
        },
    }

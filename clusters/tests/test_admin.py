import pytest

from clusters.tests.factories import NodeFactory, TaskFactory

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def rows():
    return {"task": TaskFactory(error=HOSTILE), "node": NodeFactory(hostname=HOSTILE)}


@pytest.mark.parametrize("model", ["task", "node"])
def test_what_a_swarm_runs_can_be_read_and_not_written(admin_client, rows, model):
    path = f"/admin/clusters/{model}/"
    listed = admin_client.get(path)
    assert listed.status_code == 200
    assert HOSTILE not in listed.content.decode()
    assert admin_client.get(f"{path}{rows[model].pk}/change/").status_code == 200
    assert admin_client.get(f"{path}add/").status_code == 403
    assert admin_client.post(f"{path}{rows[model].pk}/delete/", {"post": "yes"}).status_code == 403
    assert admin_client.get(f"{path}?q=x").status_code == 200

"""What is kept with a call can be read again, also rows that were stored before snapshots had a version."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.engine.snapshot import VERSION, ContainerSnapshot, ServiceSnapshot, Snapshot, UpdateSnapshot

DIGEST = f"sha256:{'a' * 64}"
PLAIN = Snapshot(
    {
        "web": ServiceSnapshot(
            running=2,
            wanted=2,
            image="app:1",
            images={DIGEST: 2},
            digests=(f"app@{DIGEST}",),
            containers=(
                ContainerSnapshot("shop-web-1", "1", DIGEST, "running", started_at="then", volumes=("v",)),
                ContainerSnapshot("shop-web-2", "2", DIGEST, "running", started_at="then"),
            ),
        )
    }
)
SWARM = Snapshot(
    {
        "web": ServiceSnapshot(
            running=0,
            wanted=0,
            image="app:1",
            containers=(ContainerSnapshot("web.1", "1", DIGEST, "running", node="node1"),),
            id="s1",
            mode="replicated",
            update=UpdateSnapshot(3, 10, "then"),
        )
    }
)
UNVERSIONED = {
    "services": {
        "web": {
            "running": 2,
            "wanted": 2,
            "image": "app:1",
            "images": {DIGEST: 2},
            "digests": [f"app@{DIGEST}"],
            "containers": [
                {
                    "name": "shop-web-1",
                    "id": "1",
                    "image_id": DIGEST,
                    "state": "running",
                    "started_at": "then",
                    "volumes": ["v"],
                },
                {"name": "shop-web-2", "id": "2", "image_id": DIGEST, "state": "running", "started_at": "then"},
            ],
        }
    }
}


def load(snapshot):
    return Snapshot.from_json(json.loads(json.dumps(snapshot.to_json())))


@pytest.mark.parametrize("snapshot", [PLAIN, SWARM, Snapshot()], ids=["plain", "swarm", "nothing"])
def test_a_stored_snapshot_is_read_as_it_was(snapshot):
    assert load(snapshot) == snapshot


def test_a_snapshot_without_a_version_is_read_too():
    assert Snapshot.from_json(UNVERSIONED) == PLAIN
    assert PLAIN.to_json() == {"version": VERSION, **UNVERSIONED}


def test_a_call_without_a_snapshot_has_none():
    assert Snapshot.from_json(None) is None


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.dictionaries(
            st.sampled_from(["services", "web", "running", "images", "digests", "containers", "volumes", "update", "version"]),
            parts,
        )
    ),
    max_leaves=12,
)


@given(odd)
def test_what_has_another_shape_is_left_out(value):
    found = Snapshot.from_json(value)
    assert (found is None) == (not isinstance(value, dict))
    assert found is None or load(found) == found

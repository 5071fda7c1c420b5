import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.engine import names
from clusters.engine.names import TemporaryName, find_place, merge_pairs, parse_container_id, parse_temporary_name

ID = "0123456789ab" * 5 + "0123"


@given(
    base=st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,60}", fullmatch=True),
    role=st.sampled_from(["new", "old"]),
    old_id=st.from_regex(r"[0-9a-f]{12}", fullmatch=True),
    was_running=st.booleans(),
)
def test_a_temporary_name_is_read_back_as_written(base, role, old_id, was_running):
    name = TemporaryName(base, role, old_id, was_running)
    assert parse_temporary_name(str(name)) == name
    assert parse_temporary_name(f"/{name}") == name


@pytest.mark.parametrize(
    "name", ["web_1", "", "web.windlass-new.0123456789ab", "web.windlass-new.0123456789AB.r", ".windlass-old.x.r"]
)
def test_other_names_are_not_temporary(name):
    assert parse_temporary_name(name) is None
    assert names.base_name(name) == name


def test_a_pair_counts_once_as_its_running_container():
    found = merge_pairs(
        ["web_1", "web_1.windlass-new.0123456789ab.r", "web_2", "web_2.windlass-old.0123456789ab.r"],
        name_of=lambda name: name,
        is_running=lambda name: name in {"web_1.windlass-new.0123456789ab.r", "web_2"},
    )
    assert found == ["web_1.windlass-new.0123456789ab.r", "web_2"]


def test_compose_labels_place_a_container():
    labels = {names.PROJECT_LABEL: "shop", names.SERVICE_LABEL: "web", names.NUMBER_LABEL: "3"}
    assert find_place("shop_web_3", labels) == names.Place("compose", "shop", "web", 3)


def test_a_lone_container_is_an_application_of_its_own_name_also_while_it_is_replaced():
    assert find_place("/db", {}) == find_place("db.windlass-old.0123456789ab.r", {}) == names.Place("container", "db", "db", 1)


def test_a_clone_belongs_to_the_container_it_scales():
    labels = {names.APPLICATION_LABEL: "db", names.CLONE_SERVICE_LABEL: "db", names.CLONE_NUMBER_LABEL: "2"}
    assert find_place("db-2", labels) == names.Place("container", "db", "db", 2)


@pytest.mark.parametrize("labels", [{names.ONEOFF_LABEL: "True"}, {"com.docker.swarm.service.id": "x"}])
def test_one_offs_and_swarm_tasks_have_no_place(labels):
    assert find_place("x", labels) is None


@pytest.mark.parametrize("text", [None, "", "-1", "x", "٣", "9" * 30])
def test_a_strange_number_counts_as_the_first(text):
    assert names.read_container_number(text) == 1


@pytest.mark.parametrize(
    "text",
    [
        f"612 600 254:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw,relatime - ext4 /dev/vda rw",
        f"12:memory:/docker/{ID}",
        f"0::/system.slice/docker-{ID}.scope",
        f"612 600 254:1 /var/lib/containers/storage/overlay-containers/{ID}/userdata/hostname /etc/hostname rw - ext4 x rw",
        f"0::/machine.slice/libpod-{ID}.scope/container",
    ],
)
def test_the_own_container_is_found_by_mounts_or_control_groups(text):
    assert parse_container_id(f"1 2 3:4 / / rw - ext4 x rw\n{text}\n") == ID


def test_a_mount_of_other_containers_files_is_not_taken_for_the_own_id():
    assert parse_container_id(f"612 600 254:1 /var/lib/docker/containers/{ID}/hostname /mnt/x rw - ext4 /dev/vda rw") == ""

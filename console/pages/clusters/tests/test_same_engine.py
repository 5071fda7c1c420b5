"""Two clusters that are one engine."""

import pytest

from clusters.models import Cluster
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory
from clusters.tests.users import make_user
from console.pages.tests.reading import words_of

pytestmark = pytest.mark.django_db

WARNING = "Its engine is also that of"


@pytest.fixture
def twins():
    return [ClusterFactory(name=name, engine_id="ABCD") for name in ("harbour", "quay")]


def pages_of(cluster: Cluster) -> tuple[str, str]:
    return "/clusters/", f"/clusters/{cluster.uid}/"


def test_both_say_so(reader, twins):
    ClusterFactory(name="delta", engine_id="EFGH")
    assert words_of(reader.get("/clusters/")).count(WARNING) == 2
    for cluster, other in (twins, twins[::-1]):
        assert f"{WARNING} {other.name} (they report one engine id)." in words_of(reader.get(f"/clusters/{cluster.uid}/"))


def test_different_engines_and_engines_that_were_not_seen_yet_do_not(reader):
    ClusterFactory(engine_id="ABCD")
    unseen = [ClusterFactory(engine_id="") for _ in range(2)]
    for page in pages_of(unseen[0]):
        assert WARNING not in words_of(reader.get(page))


def test_whoever_may_not_see_both_is_shown_nothing_of_the_other(client, twins):
    user = make_user("one", Role.ADMINISTRATOR, twins[0])
    client.force_login(user)
    for page in pages_of(twins[0]):
        words = words_of(client.get(page))
        assert WARNING not in words
        assert "quay" not in words


def test_whoever_may_see_both_is_shown_it(client, twins):
    user = make_user("both", Role.VIEWER, twins[0])
    user.cluster_grants.create(cluster=twins[1], role=Role.VIEWER)
    client.force_login(user)
    for page in pages_of(twins[0]):
        assert WARNING in words_of(client.get(page))

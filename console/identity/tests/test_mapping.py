import pytest

from clusters.access.given_roles import Wanted
from clusters.roles import Role
from clusters.tests.factories import ClusterFactory
from console.identity.mapping import find_near_misses, find_wanted, list_mappings
from console.identity.tests.fake_provider import ISSUER
from console.models import GroupMapping

pytestmark = pytest.mark.django_db


def map_group(group, role, cluster=None, issuer=ISSUER):
    return GroupMapping.objects.create(issuer=issuer, group=group, role=role, cluster=cluster)


def test_the_highest_role_on_each_cluster_and_for_all(django_assert_num_queries):
    cluster = ClusterFactory()
    map_group("a", Role.VIEWER)
    map_group("b", Role.DEPLOYER)
    map_group("a", Role.OPERATOR, cluster)
    map_group("c", Role.ADMINISTRATOR)
    map_group("a", Role.ADMINISTRATOR, issuer="https://other.test")
    with django_assert_num_queries(1):
        wanted = find_wanted(list_mappings(ISSUER), ["b", "a", "x"])
    assert wanted == {None: Wanted(Role.DEPLOYER, "b"), cluster.pk: Wanted(Role.OPERATOR, "a")}


def test_names_are_compared_exactly():
    map_group("Ops", Role.VIEWER)
    mappings = list_mappings(ISSUER)
    assert find_wanted(mappings, ["ops", "Ops ", "OPS"]) == {}
    assert find_near_misses(mappings, ["ops", "else"]) == [("ops", "Ops")]
    assert find_near_misses(mappings, ["/Ops"]) == [("/Ops", "Ops")]
    assert find_near_misses(mappings, ["Ops "]) == [("Ops ", "Ops")]
    assert find_near_misses(mappings, ["Ops"]) == []

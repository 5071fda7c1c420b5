"""Which roles the groups of a provider give: the highest on each cluster, and for all clusters."""

from collections.abc import Iterable

from clusters.access.given_roles import RANK, Wanted
from clusters.models import Cluster
from clusters.roles import Role
from console.models import GroupMapping


def list_mappings(issuer: str) -> list[GroupMapping]:
    """Return the issuer's mappings, with their clusters, in one query."""
    keys = (f"cluster__{name}" for name in Cluster.KEYS)
    return list(GroupMapping.objects.filter(issuer=issuer).select_related("cluster").defer(*keys))


def find_wanted(mappings: Iterable[GroupMapping], groups: Iterable[str]) -> dict[int | None, Wanted]:
    """Return the roles by cluster id, or None for all clusters. Names are compared exactly, letter case included."""
    known, wanted = set(groups), dict[int | None, Wanted]()
    for mapping in mappings:
        if mapping.group not in known:
            continue
        former = wanted.get(mapping.cluster_id)
        if former is None or RANK[mapping.role] > RANK[former.role]:
            wanted[mapping.cluster_id] = Wanted(Role(mapping.role), mapping.group)
    return wanted


def find_near_misses(mappings: Iterable[GroupMapping], groups: Iterable[str]) -> list[tuple[str, str]]:
    """Return pairs of a received group and a mapped one that differ in letter case or in spaces around them alone."""
    known = set(groups)
    folded = {_fold(group): group for group in sorted(known)}
    missed = {mapping.group for mapping in mappings} - known
    return sorted((folded[_fold(group)], group) for group in missed if _fold(group) in folded)


def _fold(group: str) -> str:
    """Return the name as people read it: Keycloak's paths begin with a slash."""
    return group.strip().strip("/").casefold()

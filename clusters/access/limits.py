"""What an API token leaves of its user's rights. The rights themselves are read anew for each request, and the token takes away
from them: never more than its role, and nothing outside its clusters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clusters.models import Cluster
from clusters.roles import FOR_ALL_CLUSTERS, FOR_ONE_CLUSTER, Role


@dataclass(frozen=True)
class Limit:
    """`clusters`: by id, without their keys. None are all that the user has, later ones too."""

    token: str  # its name
    role: Role  # at most
    clusters: Mapping[int, Cluster] | None
    is_of_superuser: bool

    @property
    def for_all_clusters(self) -> frozenset[str]:
        """The permissions for all clusters, at most. A token for chosen clusters has none of them."""
        return FOR_ALL_CLUSTERS[self.role] if self.clusters is None else frozenset()

    @property
    def for_one_cluster(self) -> frozenset[str]:
        return FOR_ONE_CLUSTER[self.role]


def limit_user(user: Any, limit: Limit) -> None:
    """Limit what this object of a user may do, before it is asked for the first time. It must not be saved: Django asks nobody
    about a superuser's rights, so it no longer is one."""
    user.is_superuser = user.is_staff = False
    user._limit = limit


def find_limit(user: Any) -> Limit | None:
    """Return the limit of a request's user; None unless the request has a token that is limited."""
    limit: Limit | None = getattr(user, "_limit", None)
    return limit

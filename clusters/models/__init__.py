"""The stored state of engines and registries: settings that people give, and what was last seen.

People give the settings of clusters and registries. Everything else about an engine is written by `clusters.inventory` alone.
"""

from clusters.models.access import AuditEntry, ClusterGrant, GivenRole
from clusters.models.api_token import ApiToken
from clusters.models.cluster import Cluster, make_cluster_uid
from clusters.models.inventory import Application, Container, Node, Service, Task
from clusters.models.lease import Lease
from clusters.models.registry import Registry, hash_hook_token, make_hook_token

__all__ = [
    "ApiToken",
    "Application",
    "AuditEntry",
    "Cluster",
    "ClusterGrant",
    "Container",
    "GivenRole",
    "Lease",
    "Node",
    "Registry",
    "Service",
    "Task",
    "hash_hook_token",
    "make_cluster_uid",
    "make_hook_token",
]

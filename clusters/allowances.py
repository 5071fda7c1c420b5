"""Which engines get which credentials for registries. An administrator of all clusters allows a registry for a cluster.

Credentials never go over tcp:// without TLS, and credentials of the Docker config of the console's user (docker login) only to
clusters with `uses_docker_config`. What the console itself asks a registry is not limited by this: that is no engine.
"""

from collections.abc import Collection, Iterable

from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet

from clusters.engine.connection.credentials import PullCredentials
from clusters.engine.connection.endpoint import EngineEndpoint
from clusters.models import Cluster, Registry
from clusters.registries import find_registry, open_access
from clusters.registry.access import TOKEN_USER, RegistryAccess, name_server
from clusters.registry.reference import BadReference, parse_reference

WITHOUT_TLS = "tcp:// without TLS"


def engine_credentials(reference: str, endpoint: EngineEndpoint) -> PullCredentials:
    """A CredentialSource: return the stored credentials for the image if the engine's cluster may get them.

    If it may not, the credential helper is not run, and the Docker config is not used either. Raises RegistryError as
    `open_access` does. Registries are slow: do not call it inside a transaction.
    """
    registry = find_registry(reference)
    cluster = Cluster.objects.filter(uid=endpoint.cluster_uid).only("name", "uses_docker_config").first()
    if registry and registry.has_credentials:
        if refusal := find_refusal(registry, cluster, endpoint):
            return PullCredentials(withheld=f"The credentials stored for {registry} may not go to {refusal}")
        access = open_access(registry)
        if not access.is_anonymous:
            return PullCredentials(make_auth_config(access, reference))
    refusal = find_refusal(registry, cluster, endpoint) or find_config_refusal(cluster)
    subject = f"The credentials for {name_host(reference)} in the Docker config of the console's user"
    return PullCredentials(may_use_config=not refusal, config_withheld=f"{subject} may not go to {refusal}" if refusal else "")


def find_refusal(registry: Registry | None, cluster: Cluster | None, endpoint: EngineEndpoint) -> str:
    """Return the end of a sentence that says to which cluster the credentials may not go, why, and what to do. Empty if they
    may. Without a registry, only the way to the engine counts."""
    if cluster is None:
        return "this engine: it belongs to no cluster."
    if endpoint.is_plain:
        return (
            f"cluster {cluster}, because its address is {WITHOUT_TLS}. Give the cluster an address with TLS, or a unix:// or "
            "ssh:// address."
        )
    if registry and not registry.clusters.filter(pk=cluster.pk).exists():
        return f"cluster {cluster}. An administrator of all clusters can allow it under Registries."
    return ""


def find_config_refusal(cluster: Cluster | None) -> str:
    if cluster is None or cluster.uses_docker_config:
        return ""
    return f"cluster {cluster}. An administrator of all clusters can allow it in the cluster's settings."


def make_auth_config(access: RegistryAccess, reference: str) -> dict[str, str]:
    """Return the credentials in the Engine API's form, AuthConfig: `serveraddress` with `username` and `password`, or with
    `identitytoken`."""
    server = {"serveraddress": name_server(parse_reference(reference).host)}
    if access.username == TOKEN_USER:
        return {"identitytoken": access.password, **server}
    return {"username": access.username, "password": access.password, **server}


def name_host(reference: str) -> str:
    try:
        return parse_reference(reference).host
    except BadReference:
        return reference


def select_ways(clusters: QuerySet[Cluster]) -> QuerySet[Cluster]:
    """Select what `is_plain` needs of clusters, by name, and not their certificates."""
    bare = ExpressionWrapper(Q(tls_ca="") & Q(tls_cert=""), output_field=BooleanField())
    return clusters.only("name", "uid", "url", "other_urls").annotate(is_bare=bare).order_by("name")


def is_plain(cluster: Cluster) -> bool:
    """Return whether a cluster of `select_ways` is reached by tcp:// without TLS alone, so that it never gets credentials."""
    certificate = "" if cluster.is_bare else "present"  # type: ignore[attr-defined]
    endpoint = EngineEndpoint(cluster.url, ca=certificate, others=tuple(cluster.other_urls.split()))
    return all(endpoint.at(address).is_plain for address in endpoint.addresses)


def find_plain(clusters: Iterable[Cluster]) -> list[Cluster]:
    """Return those of the clusters that are reached by tcp:// without TLS alone."""
    return [row for row in select_ways(Cluster.objects.filter(pk__in=[each.pk for each in clusters])) if is_plain(row)]


def explain_plain(clusters: Iterable[Cluster]) -> str:
    """Return why these clusters cannot be allowed."""
    names = ", ".join(cluster.name for cluster in clusters)
    return f"Credentials never go to {names}: the address is {WITHOUT_TLS}."


def list_default_clusters(clusters: QuerySet[Cluster]) -> list[Cluster]:
    """Return the clusters that a new registry is allowed for unless somebody chooses others."""
    return [cluster for cluster in select_ways(clusters) if not is_plain(cluster)]


def note_registries(cluster: Cluster, changed: Collection[str] | None = None) -> dict[str, list[str]]:
    """Return for the audit log which registries' credentials the cluster may get now. `changed` are the changed fields of a
    stored cluster: without `registries` among them there is nothing to note."""
    if changed is not None and "registries" not in changed:
        return {}
    found = list(cluster.registries.order_by("host").values_list("host", flat=True))
    return {"registries": found} if found or changed else {}

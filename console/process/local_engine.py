"""The engine on the console's own machine. The console offers it as the first cluster if it answers."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured

from clusters.access import may_allow_credentials
from clusters.addresses import is_allowed_address
from clusters.engine.connection.client import EngineClient
from clusters.engine.errors import EngineError, EngineUnreachable
from clusters.forms import ClusterForm
from clusters.models import Cluster, Registry
from clusters.waits import wait_for_engine
from console.process.preparation import LOCAL_CLUSTER, read_environment_certificates
from console.process.private_engine import engine_answers

PROBE_PATIENCE = 1.0  # seconds
CACHE_SECONDS = 5  # pages that show the offer refresh themselves
CACHE_KEY = "local-engine"


def find_local_engine() -> str:
    """Return the address in DOCKER_HOST, by default the machine's own socket, if an engine answers there; else empty text.

    Addresses with ssh:// are not tried, because that takes too long for a page, and sockets that WINDLASS_ENGINE_SOCKETS does
    not allow are not offered.
    """
    known: str | None = cache.get(CACHE_KEY)
    if known is None:
        url = settings.DOCKER_HOST
        try:
            with wait_for_engine(CACHE_KEY):
                known = url if is_allowed_address(url) and probe_engine(url) else ""
        except EngineUnreachable:  # many already wait for the same answer
            return ""
        cache.set(CACHE_KEY, known, CACHE_SECONDS)
    return known


def probe_engine(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return engine_answers(Path(parts.path), PROBE_PATIENCE)
    if parts.scheme != "tcp":
        return False
    try:
        certificates = read_environment_certificates(url)
        endpoint = Cluster(url=url, **certificates).endpoint
        with EngineClient(endpoint, timeout=PROBE_PATIENCE) as client:
            return bool(client.version())
    except (EngineError, ImproperlyConfigured):
        return False


def make_local_form(url: str, user: Any) -> ClusterForm:
    """Return the filled form of the cluster `local`, or of the first free name such as `local-2`, with the form's defaults."""
    taken = set(Cluster.objects.filter(name__startswith=LOCAL_CLUSTER).values_list("name", flat=True))
    names = [LOCAL_CLUSTER, *(f"{LOCAL_CLUSTER}-{number}" for number in range(2, len(taken) + 3))]
    name = next(name for name in names if name not in taken)
    values: dict[str, Any] = {"name": name, "url": url, "uses_docker_config": "on", **read_environment_certificates(url)}
    if may_allow_credentials(user):
        values["registries"] = list(Registry.objects.values_list("pk", flat=True))
    return ClusterForm(values, user=user)

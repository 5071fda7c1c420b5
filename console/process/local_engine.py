"""The engine on the console's own machine, offered as the first cluster where it answers."""

from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured

from clusters.engine.connection.client import EngineClient
from clusters.engine.errors import EngineError
from clusters.forms import ClusterForm
from clusters.models import Cluster
from console.process.preparation import LOCAL_CLUSTER, read_environment_certificates
from console.process.private_engine import engine_answers

PROBE_PATIENCE = 1.0  # seconds
REMEMBERED = 5  # seconds: pages that show the offer refresh themselves
CACHE_KEY = "local-engine"


def find_local_engine() -> str:
    """The address in DOCKER_HOST, by default the machine's own socket, if an engine answers there; else empty.

    One behind ssh is not tried: that takes too long for a page.
    """
    known: str | None = cache.get(CACHE_KEY)
    if known is None:
        known = settings.DOCKER_HOST if probe_engine(settings.DOCKER_HOST) else ""
        cache.set(CACHE_KEY, known, REMEMBERED)
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


def make_local_form(url: str) -> ClusterForm:
    """The filled form of the cluster `local`, or of the first free name after it."""
    taken = set(Cluster.objects.filter(name__startswith=LOCAL_CLUSTER).values_list("name", flat=True))
    names = [LOCAL_CLUSTER, *(f"{LOCAL_CLUSTER}-{number}" for number in range(2, len(taken) + 3))]
    name = next(name for name in names if name not in taken)
    return ClusterForm({"name": name, "url": url, **read_environment_certificates(url)})

"""Measures a sync of the inventory: `python -m bench.sync_inventory [containers]`.

The peer makes only the four requests of an observation (version, info, containers, images). The ratio shows the cost of
grouping and writing the rows. It uses a private engine and a database of its own.
"""

import statistics
import sys
import time
from collections.abc import Callable

from django.core.management import call_command

from clusters.engine.connection.client import EngineClient
from clusters.inventory import sync_cluster
from clusters.models import Cluster, Container
from tests.harness.engine import run_engine
from tests.harness.images import BASE, create_base_image

ROUNDS = 7


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    call_command("migrate", verbosity=0)
    with run_engine() as engine, engine.connect() as api:
        create_base_image(api)
        for number in range(count):
            labels = {"com.docker.compose.project": f"p{number % 30}", "com.docker.compose.service": "web"}
            body = {"Image": BASE, "Cmd": ["/bin/true"], "Labels": labels, "HostConfig": {"NetworkMode": "none"}}
            api.create_container_from_config(body, f"many{number}")
        cluster = Cluster.objects.create(name="bench", url=engine.endpoint_url)

        def request_engine() -> None:
            with EngineClient(engine.endpoint) as client:
                client.version(), client.info(), client.list_containers(), client.list_images()

        first = measure(lambda: sync_cluster(cluster))
        assert Container.objects.count() == count
        pairs = [(measure(lambda: sync_cluster(cluster)), measure(request_engine)) for _ in range(ROUNDS)]
        sync, peer = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = statistics.median(ours / theirs for ours, theirs in pairs)
        print(
            f"{count} containers: first sync {first:.3f} s, sync {sync:.3f} s, requests alone {peer:.3f} s, ratio {ratio:.2f}"
        )


def measure(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()

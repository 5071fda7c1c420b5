"""Clusters and what runs on them, as a watcher would have stored it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from clusters.engine.errors import EngineUnreachable
from clusters.models import Application, Cluster, Container, Node, Service, Task
from console.fleet.rows import share

PLACES = ("harbour", "quay", "armada", "lagoon", "strait", "delta", "fjord", "basin", "cove", "reef", "anchorage", "mole")
TEAMS = ("billing", "checkout", "search", "media", "growth", "identity", "logistics", "support", "data", "platform")
PRODUCTS = (
    "portal",
    "gateway",
    "engine",
    "pipeline",
    "reports",
    "mailer",
    "catalog",
    "scheduler",
    "exports",
    "archive",
    "prices",
    "invoices",
    "ratings",
    "uploads",
    "feeds",
    "alerts",
    "sessions",
    "stock",
    "labels",
    "returns",
)
PARTS = ("web", "api", "worker", "db", "cache", "queue", "cron", "proxy", "metrics", "migrate")
POLICY = {
    "parallelism": 1,
    "order": "start-first",
    "delay": 10,
    "monitor": 5,
    "failure_action": "rollback",
    "max_failure_ratio": 0,
}
STATES = {"running": 90, "degraded": 4, "stopped": 4, "absent": 2}  # of applications, in per cent
MEMORY = 64 * 1024**3


class Inventory:
    """Writes the inventory into an empty database."""

    def __init__(self, random: Random, now: datetime) -> None:
        self.random, self.now = random, now
        self.clusters: list[Cluster] = []
        self.applications: list[Application] = []
        self.services: list[Service] = []

    def add_clusters(self, count: int, nodes: int) -> None:
        """Add clusters. Every third is a Swarm; the Swarms share the nodes."""
        self.clusters = Cluster.objects.bulk_create(self._make_cluster(number) for number in range(count))
        swarms = [cluster for cluster in self.clusters if cluster.swarm_manager]
        for cluster, number in zip(swarms, share(nodes, [1] * len(swarms)), strict=True):
            Node.objects.bulk_create(self._make_node(cluster, place) for place in range(number))

    def _make_cluster(self, number: int) -> Cluster:
        place = PLACES[number % len(PLACES)]
        name = place if number < len(PLACES) else f"{place}-{number // len(PLACES) + 1}"
        url = f"unix:///run/made-up/{name}.sock"
        lost = number == 1
        return Cluster(
            name=name,
            url=url,
            uid=f"c{self.random.getrandbits(128):032x}",
            status=Cluster.Status.UNREACHABLE if lost else Cluster.Status.REACHABLE,
            status_reason=EngineUnreachable(f"Nothing answers at {url}.").message if lost else "",
            status_changed_at=self._ago(1),
            synced_at=self.now,
            engine_id=self._hex(32),
            engine_version="27.3.1",
            api_version="1.47",
            hostname=f"{name}-1",
            operating_system="Debian GNU/Linux 12 (bookworm)",
            architecture="x86_64",
            cpus=32,
            memory_bytes=MEMORY,
            swarm_manager=number % 3 == 2,
        )

    def _make_node(self, cluster: Cluster, place: int) -> Node:
        is_manager, lost = place < 3, place == 5
        return Node(
            cluster=cluster,
            node_id=self._hex(25),
            hostname=f"{cluster.name}-{place + 1}",
            address=f"10.{cluster.pk % 256}.{place // 250}.{place % 250 + 1}",
            role=Node.Role.MANAGER if is_manager else Node.Role.WORKER,
            leader=place == 0,
            reachability="reachable" if is_manager else "",
            state=Node.State.DOWN if lost else Node.State.READY,
            state_message="heartbeat failure" if lost else "",
            engine_version="27.3.1",
            operating_system="linux",
            architecture="x86_64",
            cpus=32,
            memory_bytes=MEMORY,
            labels={"zone": f"z{place % 3 + 1}"},
        )

    def add_applications(self, count: int, services: int) -> None:
        """Add applications. A few of them have many services, most have few."""
        names = [f"{team}-{product}" for team in TEAMS for product in PRODUCTS]
        self.random.shuffle(names)
        self.applications = Application.objects.bulk_create(
            self._make_application(f"{names[number % len(names)]}{_count_again(number, len(names))}") for number in range(count)
        )
        shares = share(services, [1 / (place + 8) for place in range(count)])
        made = [
            self._make_service(application, number)
            for application, share_of in zip(self.applications, shares, strict=True)
            for number in range(share_of)
        ]
        self.services = Service.objects.bulk_create(made, batch_size=500)

    def _make_application(self, name: str) -> Application:
        cluster = self.random.choice(self.clusters)
        sources = (Application.Source.STACK, Application.Source.SERVICE)
        plain = (Application.Source.COMPOSE, Application.Source.CONTAINER)
        created = self._ago(90)
        return Application(
            cluster=cluster,
            name=name,
            source=self.random.choices(sources if cluster.swarm_manager else plain, (9, 1))[0],
            status=self.random.choices(list(STATES), list(STATES.values()))[0],
            system=self.random.random() < 0.03,
            protected=self.random.random() < 0.01,
            created_at=created,
            updated_at=created + (self.now - created) * self.random.random(),
        )

    def _make_service(self, application: Application, number: int) -> Service:
        part = f"{PARTS[number % len(PARTS)]}{_count_again(number, len(PARTS))}"
        image = f"registry.example.com/{application.name.partition('-')[0]}/{part}"
        digest = self._hex(64)
        swarm = application.is_swarm
        return Service(
            application=application,
            name=part,
            status=application.status,
            image=f"{image}:{self.random.randrange(1, 9)}.{self.random.randrange(40)}",
            image_id="" if swarm else f"sha256:{self._hex(64)}",
            image_digests=[f"{image}@sha256:{digest}"],
            ports=[{"host": 8000 + number, "container": 80, "protocol": "tcp"}] if part.startswith("web") else [],
            health="" if swarm else Service.Health.HEALTHY,
            swarm_id=self._hex(25) if swarm else "",
            update_state="completed" if swarm else "",
            update_config=POLICY if swarm else {},
            rollback_config=POLICY if swarm else {},
        )

    def add_containers(self, containers: int, tasks: int) -> None:
        """Give containers to services of plain engines, and tasks to services of Swarms. A few services have many."""
        present = [service for service in self.services if service.status != Application.Status.ABSENT]
        self.random.shuffle(present)
        plain = [service for service in present if not service.application.is_swarm]
        swarm = [service for service in present if service.application.is_swarm]
        for service, number in zip(plain, share(containers, [1 / (place + 10) for place in range(len(plain))]), strict=True):
            self._count(service, number)
        Container.objects.bulk_create(self._make_containers(plain), batch_size=1000)
        for service, number in zip(swarm, share(tasks, [1 / (place + 10) for place in range(len(swarm))]), strict=True):
            self._count(service, number - number // 3)
            service.task_total = number  # type: ignore[attr-defined]
        Task.objects.bulk_create(self._make_tasks(swarm), batch_size=1000)
        self._save_counts()

    def _count(self, service: Service, number: int) -> None:
        running = {Application.Status.STOPPED: 0, Application.Status.DEGRADED: number - 1}.get(service.status, number)  # type: ignore[call-overload]
        service.replicas, service.running = number, max(running, 0)
        service.application.wanted += service.replicas
        service.application.running += service.running

    def _make_containers(self, services: list[Service]) -> Iterator[Container]:
        for service in services:
            application = service.application
            for number in range(service.replicas):
                runs, created = number < service.running, self._ago(20)
                yield Container(
                    service=service,
                    container_id=self._hex(64),
                    name=f"{application.name}-{service.name}-{number + 1}",
                    state="running" if runs else "exited",
                    status_text="Up 3 days (healthy)" if runs else "Exited (1) 2 hours ago",
                    health=service.health if runs else "",
                    image=service.image,
                    image_id=service.image_id,
                    ports=service.ports,
                    addresses={f"{application.name}_default": f"172.19.{number // 250}.{number % 250 + 2}"},
                    created_at=created,
                )

    def _make_tasks(self, services: list[Service]) -> Iterator[Task]:
        """Yield a task for each slot, and a past task for every second slot."""
        nodes: dict[int, list[Node]] = {}
        for node in Node.objects.all():
            nodes.setdefault(node.cluster_id, []).append(node)
        for service in services:
            places: list[Node | None] = [*nodes.get(service.application.cluster_id, ())] or [None]
            for number in range(service.task_total):  # type: ignore[attr-defined]
                earlier = number >= service.replicas
                slot = (number - service.replicas) * 2 + 1 if earlier else number + 1
                yield self._make_task(service, slot, self.random.choice(places), earlier, slot <= service.running)

    def _make_task(self, service: Service, slot: int, node: Node | None, earlier: bool, runs: bool) -> Task:
        created = self._ago(60 if earlier else 10)
        state = "shutdown" if earlier else "running" if runs else "rejected"
        return Task(
            service=service,
            task_id=self._hex(25),
            slot=slot,
            node_id=node.node_id if node else "",
            node_name=node.hostname if node else "",
            state=state,
            desired_state="shutdown" if earlier else "running",
            message="started" if runs else "preparing",
            error="" if earlier or runs else "No such image: it cannot be pulled.",
            image=service.image,
            container_id=self._hex(64),
            created_at=created,
            updated_at=created + timedelta(seconds=4),
        )

    def _save_counts(self) -> None:
        Service.objects.bulk_update(self.services, ["replicas", "running"], batch_size=200)
        Application.objects.bulk_update(self.applications, ["wanted", "running"], batch_size=200)

    def _ago(self, days: float) -> datetime:
        """Return a time within the last `days`, more likely a recent one."""
        return self.now - timedelta(days=days) * self.random.random() ** 2

    def _hex(self, digits: int) -> str:
        return f"{self.random.getrandbits(4 * digits):0{digits}x}"


def _count_again(number: int, names: int) -> str:
    """Return the suffix that tells a repeated name from the first one."""
    return f"-{number // names + 1}" if number >= names else ""

"""Rows for tests, as the inventory would have written them."""

from datetime import UTC, datetime

import factory

from clusters.models import Application, Cluster, Container, Node, Registry, Service, Task


class ClusterFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Cluster

    name = factory.Sequence(lambda n: f"cluster-{n}")
    url = "unix:///var/run/docker.sock"
    status = Cluster.Status.REACHABLE
    api_version = "1.41"
    engine_version = "20.10.24"


class ApplicationFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Application

    cluster = factory.SubFactory(ClusterFactory)
    name = factory.Sequence(lambda n: f"shop-{n}")
    source = Application.Source.COMPOSE
    status = Application.Status.RUNNING
    wanted = 2
    running = 2
    created_at = datetime(2026, 1, 1, tzinfo=UTC)
    updated_at = datetime(2026, 1, 2, tzinfo=UTC)


class ServiceFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Service

    application = factory.SubFactory(ApplicationFactory)
    name = factory.Sequence(lambda n: f"web-{n}")
    status = Application.Status.RUNNING
    replicas = 2
    running = 2
    image = "shop:1"
    image_id = "sha256:" + "1" * 64


class ContainerFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Container

    service = factory.SubFactory(ServiceFactory)
    container_id = factory.Sequence(lambda n: f"{n:064x}")
    name = factory.Sequence(lambda n: f"shop_web_{n}")
    state = "running"
    status_text = "Up 3 minutes"
    image = "shop:1"
    image_id = "sha256:" + "1" * 64
    created_at = datetime(2026, 1, 1, tzinfo=UTC)


class NodeFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Node

    cluster = factory.SubFactory(ClusterFactory, swarm_manager=True)
    node_id = factory.Sequence(lambda n: f"node{n:021x}")
    hostname = factory.Sequence(lambda n: f"node-{n}")
    address = "10.77.0.2"
    state = Node.State.READY
    engine_version = "20.10.24"
    cpus = 2
    memory_bytes = 4 * 1024**3


class TaskFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Task

    service = factory.SubFactory(ServiceFactory, application__source=Application.Source.STACK)
    task_id = factory.Sequence(lambda n: f"task{n:021x}")
    slot = 1
    node_id = "node000000000000000000000"
    node_name = "node-0"
    state = "running"
    desired_state = "running"
    image = "shop:1"
    created_at = datetime(2026, 1, 1, tzinfo=UTC)
    updated_at = datetime(2026, 1, 1, tzinfo=UTC)


class RegistryFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Registry

    host = factory.Sequence(lambda n: f"registry-{n}.example.com")
    username = "robot"
    password = "password of the robot"

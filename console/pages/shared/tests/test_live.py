"""Pages that wait for an engine: how many may, and what they hold."""

import re
import threading

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from clusters.engine.errors import EngineError
from clusters.engine.fakes.fake_engine import FakeEngine
from clusters.models import AuditEntry
from clusters.tests.factories import ApplicationFactory, ClusterFactory, ContainerFactory, ServiceFactory
from clusters.tests.pooled import pooled as pooled
from clusters.tests.users import make_user
from console.pages.shared.live import open_application_engine, open_engine
from triggers.tests.calling import PATH, link_parameters
from triggers.tests.factories import TriggerFactory


class HungEngine:
    """An engine that nobody gets an answer from before `is_released` is set."""

    def __init__(self):
        self.is_released = threading.Event()
        self.asked = threading.Semaphore(0)

    def connect(self, *_, **__):
        self.asked.release()
        assert self.is_released.wait(60)
        raise EngineError("It did not answer.")


@pytest.fixture
def hung(monkeypatch):
    engine = HungEngine()
    monkeypatch.setattr("console.pages.shared.live.connect", engine.connect)
    monkeypatch.setattr("console.pages.shared.live.EngineClient", engine.connect)
    yield engine
    engine.is_released.set()


def wait_in_threads(hung, number, open_it):
    """Start threads that wait for the engine, and return them once all of them do."""

    def ask():
        with pytest.raises(EngineError), open_it():
            pass

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert hung.asked.acquire(timeout=10)
    return threads


def run_in_thread(work):
    """Return what `work` returns, or None if it does not end."""
    results = []

    def run():
        try:
            results.append(work())
        finally:
            connection.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10)
    return results[0] if results else None


@pytest.mark.django_db(transaction=True)
def test_pages_of_a_hung_engine_leave_threads_to_links_and_to_other_engines(hung, published, monkeypatch):
    cluster, other = ClusterFactory(name="harbour"), ClusterFactory(name="quay")
    trigger = TriggerFactory(application__cluster=cluster)
    reader = Client()
    reader.force_login(make_user("root", is_superuser=True))
    threads = wait_in_threads(hung, settings.WAITING_REQUESTS_FOR_EACH, lambda: open_engine(cluster))

    page = run_in_thread(lambda: reader.get(f"/clusters/{cluster.uid}/events/"))
    assert page, "one more page waits"
    assert "The engine answers too slowly: 16 requests already wait" in page.content.decode()
    assert run_in_thread(lambda: Client().get(PATH, query_params=link_parameters(trigger)).status_code) == 200
    threads += wait_in_threads(hung, 1, lambda: open_engine(other))

    hung.is_released.set()
    for thread in threads:
        thread.join(10)
    monkeypatch.setattr("console.pages.shared.live.connect", lambda cluster: FakeEngine())
    with open_engine(cluster) as client:
        assert client.list_events(0, 1) == []


@pytest.mark.django_db
def test_applications_share_the_places_of_their_cluster(hung):
    application = ApplicationFactory()
    threads = wait_in_threads(hung, settings.WAITING_REQUESTS_FOR_EACH, lambda: open_application_engine(application))

    def refused():
        with pytest.raises(EngineError) as refusal, open_engine(application.cluster):
            pass
        return refusal.value.code

    assert run_in_thread(refused) == "busy"
    hung.is_released.set()
    for thread in threads:
        thread.join(10)


@pytest.mark.django_db(transaction=True)
class TestConnections:
    """A page that waits for an engine holds none of the few connections to PostgreSQL."""

    @pytest.fixture
    def engine(self, monkeypatch, pooled):
        engine = FakeEngine()
        engine.add_image("shop:1", size=40_000_000)
        monkeypatch.setattr("console.pages.shared.live.connect", lambda cluster: engine)
        monkeypatch.setattr("console.pages.shared.live.EngineClient", lambda endpoint, timeout: engine)
        for place in ("log_panel", "views"):
            monkeypatch.setattr(f"console.pages.shared.logs.{place}.open_log_engine", lambda endpoint: engine)
        return engine

    @pytest.fixture
    def held(self, engine, container, pooled):
        """The requests to the engine during which a connection was held."""
        found = []
        engine.before_request = lambda method: found.append(method) if pooled() else None
        return found

    @pytest.fixture
    def container(self, engine):
        container_id = engine.run("shop-web-1", "shop:1")
        return ContainerFactory(container_id=container_id, name="shop-web-1", service=ServiceFactory(name="web"))

    def test_no_page_holds_one(self, engine, container, held):
        reader = Client()
        reader.force_login(make_user("root", is_superuser=True))
        application, cluster = container.service.application, container.service.application.cluster
        engine.write_log("shop-web-1", "a line")
        addresses = [
            *(f"/clusters/{cluster.uid}/{piece}/" for piece in ("engine", "disk", "events")),
            f"/images/?cluster={cluster.uid}",
            f"/containers/{container.pk}/",
            f"/containers/{container.pk}/?tab=configuration",
            f"/containers/{container.pk}/use/",
            f"/containers/{container.pk}/logs/",
            f"/services/{container.service.pk}/?tab=configuration",
            f"/applications/{application.pk}/?tab=logs",
            f"/applications/{application.pk}/delete/",
        ]
        for address in addresses:
            engine.requests.clear()
            assert reader.get(address).status_code == 200, address
            assert (bool(engine.requests), held) == (True, []), address
        file = b"".join(reader.get(f"/applications/{application.pk}/logs/download/"))
        assert (b"a line" in file, held) == (True, [])

    def test_no_removal_of_images_holds_one_although_it_is_recorded_on_the_way(self, engine, container, held):
        reader = Client()
        reader.force_login(make_user("root", is_superuser=True))
        image_id = engine.add_image("old:1").removeprefix("sha256:")
        address = f"/clusters/{container.service.application.cluster.uid}/images/{image_id}/remove/"
        previewed = re.search(r'name="previewed" value="([^"]+)"', reader.get(address).content.decode())[1]
        engine.requests.clear()
        reader.post(address, {"previewed": previewed})
        assert (AuditEntry.objects.get(action="image.remove").user.username, held) == ("root", [])
        assert "remove_image" in engine.requests

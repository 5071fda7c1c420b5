"""Logs at the pages: who may read them, what hostile lines become, and an engine that does not answer."""

import json
import re

import pytest

from clusters.engine.errors import EngineUnreachable
from clusters.engine.fakes.fake_engine import FakeEngine
from clusters.engine.logs.cursor import LogCursor
from clusters.engine.logs.stream_format import SECOND
from clusters.models import Application, Container, Node, Service
from clusters.roles import Role
from clusters.tests.factories import ApplicationFactory, ContainerFactory, ServiceFactory, TaskFactory
from clusters.tests.users import make_user
from console.pages.shared.logs import log_panel
from console.pages.tests.hostile import IsolationChecker, TagCollector

pytestmark = pytest.mark.django_db

HOSTILE_LINE = "<img src=x onerror=alert(1)>\x1b]0;title\x07\x1b[31mred\x1b[0m\u202egnp.exe"


@pytest.fixture
def engine(monkeypatch):
    fake = FakeEngine()
    fake.add_image("app:1")
    monkeypatch.setattr("console.pages.shared.logs.log_panel.open_log_engine", lambda endpoint: fake)
    monkeypatch.setattr("console.pages.shared.logs.views.open_log_engine", lambda endpoint: fake)
    return fake


@pytest.fixture
def shop(engine):
    """A project of two services, each with a container that the engine has."""
    application = ApplicationFactory(name="shop")
    for name in ("web", "worker"):
        service = ServiceFactory(application=application, name=name)
        container_id = engine.run(f"shop-{name}-1", "app:1")
        ContainerFactory(service=service, name=f"shop-{name}-1", container_id=container_id)
    return application


def ask(reader, row, **query):
    response = reader.get(f"/{row._meta.model_name}s/{row.pk}/logs/", query)
    assert response.status_code == 200
    return response.json()


def texts(answer):
    return [line[3] for line in answer["lines"]]


def test_an_application_is_interleaved_and_read_on_by_the_cursor(reader, shop, engine):
    engine.write_log("shop-web-1", "w1")
    engine.write_log("shop-worker-1", "k1", stream="stderr")
    first = ask(reader, shop)
    assert [source["name"] for source in first["sources"]] == ["web-1", "worker-1"]
    assert [line[1:] for line in first["lines"]] == [[0, 0, "w1"], [1, 1, "k1"]]
    assert (first["more"], first["notices"], first["problem"]) == (False, [], "")
    engine.write_log("shop-web-1", "w2")
    following = ask(reader, shop, cursor=first["cursor"])
    assert texts(following) == ["w2"]
    assert texts(ask(reader, shop, cursor=following["cursor"])) == []


def test_a_part_can_be_chosen_and_only_one_of_its_own(reader, shop, engine):
    engine.write_log("shop-web-1", "w")
    engine.write_log("shop-worker-1", "k")
    web = Service.objects.get(name="web")
    other = ContainerFactory(container_id=engine.run("other", "app:1"))
    engine.write_log("other", "secret of others")
    assert texts(ask(reader, shop, only=f"service-{web.pk}")) == ["w"]
    assert texts(ask(reader, shop, only=f"container-{web.containers.get().pk}")) == ["w"]
    assert texts(ask(reader, web)) == ["w"]
    assert texts(ask(reader, web.containers.get())) == ["w"]
    assert texts(ask(reader, shop, only=f"container-{other.pk}")) == []
    assert texts(ask(reader, shop, only="container-1 OR 1")) == ["w", "k"]  # no choice


def test_a_period_begins_where_it_says(reader, shop, engine, monkeypatch):
    now = 1_800_000_000
    monkeypatch.setattr("console.pages.shared.logs.log_panel.time.time", lambda: now)
    for age in (7200, 1800, 60):
        engine.write_log("shop-web-1", f"{age} s old", moment=(now - age) * SECOND)
    assert texts(ask(reader, shop, since="5m")) == ["60 s old"]
    assert texts(ask(reader, shop, since="1h")) == ["1800 s old", "60 s old"]
    assert len(texts(ask(reader, shop, since="all"))) == 3


def test_an_invalid_cursor_is_refused(reader, shop):
    assert reader.get(f"/applications/{shop.pk}/logs/", {"cursor": "<b>"}).status_code == 400
    reader.get(f"/applications/{shop.pk}/logs/", {"cursor": LogCursor().encode()})


def test_hostile_lines_are_text_in_the_page_in_the_answer_and_in_the_file(reader, shop, engine):
    engine.write_log("shop-web-1", HOSTILE_LINE)
    page = reader.get(f"/applications/{shop.pk}/?tab=logs").content.decode()
    collector, checker = TagCollector(), IsolationChecker()
    collector.feed(page)
    checker.feed(page)
    assert checker.loose == []
    assert not [tag for tag, attributes in collector.tags if tag == "img" or "style" in attributes or "onerror" in attributes]
    assert '<span class="ansi-ink-1">red</span>' in page
    [line] = ask(reader, shop)["lines"]
    assert line[3] == [["", "<img src=x onerror=alert(1)>"], ["ansi-ink-1", "red"], ["", "\u202egnp.exe"]]
    response = reader.get(f"/applications/{shop.pk}/logs/download/")
    text = b"".join(response.streaming_content).decode()
    assert text == "web-1 | <img src=x onerror=alert(1)>red\u202egnp.exe\n"
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "\x1b" not in page + text


def test_the_file_has_a_safe_name_and_the_requested_lines(reader, shop, engine):
    Application.objects.update(name='../"shop"; x=\r\n<b>')
    engine.write_log("shop-web-1", "out")
    engine.write_log("shop-web-1", "err", stream="stderr")
    web = Service.objects.get(name="web")
    response = reader.get(
        f"/applications/{shop.pk}/logs/download/", {"stream": "stderr", "times": "1", "only": f"service-{web.pk}"}
    )
    assert re.fullmatch(r'attachment; filename="shop-x-b-\d{8}T\d{6}Z\.log"', response["Content-Disposition"])
    assert re.fullmatch(rb"2026-\d\d-\d\dT\S+Z err\n", b"".join(response.streaming_content))


def test_a_file_that_grows_too_large_is_cut_and_says_so(reader, shop, engine, monkeypatch):
    monkeypatch.setattr(log_panel, "FILE_BYTES", 50_000)
    engine.write_log("shop-web-1", *("x" * 1000 for _ in range(200)))
    text = b"".join(reader.get(f"/applications/{shop.pk}/logs/download/").streaming_content)
    assert 50_000 < len(text) < 100_000
    assert b"[Cut off here" in text


def test_a_reader_without_the_permission_is_refused_logs_and_not_offered_them(client, shop, engine):
    client.force_login(make_user("viewer", Role.VIEWER, shop.cluster))
    page = client.get(f"/applications/{shop.pk}/").content.decode()
    assert "tab=logs" not in page
    web = Service.objects.get(name="web")
    for address in (f"/applications/{shop.pk}/", f"/services/{web.pk}/"):
        assert client.get(address, {"tab": "logs"}).status_code == 403
        assert client.get(f"{address}logs/").status_code == 403
    assert "open_logs" not in engine.requests


def test_the_tab_shows_the_last_lines_without_scripts_and_reads_none_where_there_are(reader, shop, engine):
    engine.write_log("shop-web-1", *(f"line {number}." for number in range(300)))
    page = reader.get(f"/applications/{shop.pk}/?tab=logs").content.decode()
    assert page.count('<time class="logs-time"') == 200
    assert "line 299." in page
    assert "line 99." not in page
    found = reader.get(f"/applications/{shop.pk}/", {"tab": "logs", "q": "LINE 7."}).content.decode()
    assert found.count('<time class="logs-time"') == 1
    engine.requests.clear()
    reader.get(f"/applications/{shop.pk}/?tab=logs", headers={"HX-Request": "true", "HX-Target": "state"})
    assert engine.requests == []


@pytest.mark.parametrize("name", ["application", "service"])
def test_the_tab_takes_a_fixed_number_of_queries(reader, shop, engine, django_assert_max_num_queries, name):
    row = shop if name == "application" else Service.objects.get(name="web")
    address = f"/{name}s/{row.pk}/"
    with django_assert_max_num_queries(12) as few:
        reader.get(address, {"tab": "logs"})
    for _ in range(12):
        ContainerFactory(service=Service.objects.get(name="web"))
    with django_assert_max_num_queries(12) as many:
        reader.get(address, {"tab": "logs"})
    assert len(few) == len(many)
    with django_assert_max_num_queries(6):
        ask(reader, row)


def test_an_engine_that_does_not_answer_is_reported_in_a_sentence(reader, shop, engine, monkeypatch):
    engine.unreachable = "Connection refused."
    assert ask(reader, shop)["problem"] == "Connection refused."

    def fail(endpoint):
        raise EngineUnreachable("Nobody listens there.")

    monkeypatch.setattr("console.pages.shared.logs.log_panel.open_log_engine", fail)
    monkeypatch.setattr("console.pages.shared.logs.views.open_log_engine", fail)
    assert ask(reader, shop) == {"problem": "Nobody listens there."}
    assert "Nobody listens there." in reader.get(f"/applications/{shop.pk}/?tab=logs").content.decode()
    refused = reader.get(f"/applications/{shop.pk}/logs/download/")
    assert (refused.status_code, refused.content) == (503, b"Nobody listens there.\n")


def test_running_containers_are_read_first_and_the_rest_is_counted(reader, shop, engine, monkeypatch):
    monkeypatch.setattr(log_panel, "MOST_SOURCES", 2)
    service = Service.objects.get(name="web")
    for number in range(3):
        ContainerFactory(service=service, name=f"shop-old-{number}", state="exited")
    engine.write_log("shop-web-1", "w")
    answer = ask(reader, shop)
    assert (texts(answer), answer["notices"]) == (["w"], [])
    assert "3 more are left out" in reader.get(f"/applications/{shop.pk}/?tab=logs").content.decode()


def test_tasks_of_a_stack_have_their_slots_names_and_a_node_that_is_down_is_not_asked(reader, swarm_fleet, engine):
    swarm = engine.init_swarm()
    swarm.create_service(
        {"Name": "web", "TaskTemplate": {"ContainerSpec": {"Image": "app:1"}}, "Mode": {"Replicated": {"Replicas": 2}}}
    )
    swarm.settle()
    service = swarm_fleet.service
    service.tasks.all().delete()
    node = Node.objects.create(cluster=swarm_fleet.cluster, node_id="lost", hostname="reef", state="down")
    for task, node_id in zip(swarm.tasks, (swarm_fleet.node.node_id, node.node_id), strict=True):
        TaskFactory(service=service, slot=task.slot, task_id=task.id, container_id=task.container_id, node_id=node_id)
        engine.write_log(task.id, f"from {task.slot}")
    answer = ask(reader, swarm_fleet.application)
    assert (answer["sources"][0]["name"], texts(answer)) == (f"{service.name}.1", ["from 1"])
    assert answer["notices"] == [[f"{service.name}.2", "its node reef is down."]]
    assert texts(ask(reader, service)) == ["from 1"]


def test_the_answer_is_json_that_no_browser_takes_for_a_page(reader, shop, engine):
    engine.write_log("shop-web-1", "</script><script>alert(1)</script>")
    response = reader.get(f"/containers/{Container.objects.first().pk}/logs/")
    assert response["Content-Type"] == "application/json"
    assert json.loads(response.content)["lines"][0][3].startswith("</script>")

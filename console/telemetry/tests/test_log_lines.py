"""The log as an operator and their tools read it: formats, ids, and no secret in any line."""

import io
import json
import logging.config
from base64 import b64encode
from contextlib import contextmanager

import pytest
import structlog
from django.conf import settings as django_settings
from django.test import Client
from kombu.exceptions import OperationalError

from clusters.engine.errors import EngineUnreachable
from clusters.tests.users import make_user
from console.telemetry.log_lines import build_logging
from triggers.calls import nudges
from triggers.calls.accept import accept_call
from triggers.hook.outcome_tokens import make_outcome_token
from triggers.models import CallState, TriggerCall
from triggers.run import lease, runner
from triggers.tests.calling import PATH, link_parameters, request_of
from triggers.tests.factories import TriggerFactory

log = structlog.get_logger("windlass.tests")


@contextmanager
def lines_of(line_format="JSON", level="DEBUG"):
    """What the processes would write meanwhile."""
    stream = io.StringIO()
    handlers = {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": stream}}
    logging.config.dictConfig({**build_logging(level, line_format), "handlers": handlers})
    try:
        yield stream
    finally:
        logging.config.dictConfig(django_settings.LOGGING)


def read(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/login/", {"host": "a_b" * 3000}),
        ("/login/?" + "a=b&" * 1500, {}),
    ],
    ids=["host", "parameters"],
)
def test_a_request_that_django_does_not_read_is_a_short_line_and_no_error(path, headers):
    with lines_of() as stream:
        assert Client().get(path, headers=headers).status_code == 400
    assert [line["level"] for line in read(stream) if line["level"] not in {"info", "warning"}] == []
    assert "Traceback" not in stream.getvalue()
    assert max(map(len, stream.getvalue().splitlines())) < 1000


class TestFormat:
    def test_json_has_one_object_a_line_also_of_other_loggers_and_of_tracebacks(self):
        with lines_of() as stream:
            log.info("hello", number=1, text='two\nlines "quoted"')
            logging.getLogger("celery.worker").warning("by %s", "others")
            try:
                raise ValueError("no")
            except ValueError:
                log.exception("failed")
        first, second, third = read(stream)
        assert (first["event"], first["level"], first["logger"], first["number"]) == ("hello", "info", "windlass.tests", 1)
        assert first["text"] == 'two\nlines "quoted"'
        assert second["event"] == "by others"
        assert "ValueError: no" in third["exception"]

    def test_a_value_can_neither_begin_a_line_nor_write_to_a_terminal(self):
        with lines_of("LOGFMT") as stream:
            log.info("hello", text="a\nlevel=error\r\x1b[2J\x9b2J\u2028end", plain="word", nothing="", flag=True)
        (line,) = stream.getvalue().split("\n")[:-1]
        assert line.endswith(r'text="a\nlevel=error\r\u001b[2J\u009b2J\u2028end" plain=word flag=True')

    def test_what_is_below_the_level_is_not_written(self):
        with lines_of(level="WARNING") as stream:
            log.info("hello")
            log.warning("mind")
        assert [line["event"] for line in read(stream)] == ["mind"]

    @pytest.mark.parametrize(
        "text",
        [
            "GET /hook/trigger?triggerUrl=abc&secret=s3cr3t HTTP/1.1",
            "/hook/registry/s3cr3t/",
            "redis://:s3cr3t@queue:6379/0 refused",
            "amqp://windlass:s3cr3t@queue//",
            "Authorization: Bearer s3cr3t-s3cr3t",
            "password=s3cr3t host=db",
        ],
    )
    @pytest.mark.parametrize("line_format", ["JSON", "LOGFMT"])
    def test_what_a_library_quotes_is_hidden(self, text, line_format):
        with lines_of(line_format) as stream:
            log.warning("failed", error=text)
            logging.getLogger("django.request").error(text, exc_info=ValueError(text))
        assert "s3cr3t" not in stream.getvalue()
        assert "failed" in stream.getvalue()

    def test_an_api_token_is_hidden_wherever_it_is(self):
        with lines_of() as stream:
            log.warning("failed", error=f"no header 'X-Key: wl_{'0f' * 32}'")
        assert "0f0f" not in stream.getvalue()
        assert "X-Key: wl_…" in stream.getvalue()


@pytest.mark.django_db
class TestRequestId:
    @pytest.mark.parametrize("given", ["8f14e45f-ceea-4672-950a-8b1b3f1b3f1b", "a" * 64, "Root.1-67891233"])
    def test_a_proxys_id_is_taken_over_and_answered(self, client, given):
        with lines_of() as stream:
            response = client.get("/login/", headers={"X-Request-ID": given})
        assert response["X-Request-ID"] == given
        assert {line["request_id"] for line in read(stream)} == {given}

    @pytest.mark.parametrize("given", ["", "short", "a" * 65, "with space", 'qu"ote-quote', "../../../../etc", "é" * 10])
    def test_another_is_replaced(self, client, given):
        response = client.get("/login/", headers={"X-Request-ID": given})
        assert response["X-Request-ID"] != given
        assert len(response["X-Request-ID"]) == 32

    def test_probes_and_polls_that_go_well_are_not_worth_a_line(self, admin_client):
        with lines_of(level="INFO") as stream:
            client = Client()
            client.get("/healthz")
            admin_client.get("/calls/running/", headers={"Windlass-State": "x", "HX-Request": "true"})
            client.get("/metrics")
            client.get("/nothing/")
        assert [(line["path"], line["status"]) for line in read(stream)] == [("/metrics", 404), ("/nothing/", 404)]

    def test_a_long_path_makes_no_long_line(self, client):
        with lines_of(level="INFO") as stream:
            for path in ("/nothing/" + "x" * 50_000, "/hook/registry/" + "x" * 50_000, "/hook/calls/" + "é" * 50_000):
                assert client.get(path).status_code == 404
        assert len(read(stream)) == 3
        assert max(map(len, stream.getvalue().splitlines())) < 4000

    def test_the_token_of_an_outcome_is_hidden_where_a_library_quotes_its_address(self, client, published):
        answer = client.get(PATH, query_params=link_parameters(TriggerFactory())).json()
        with lines_of() as stream:
            client.get(answer["statusUrl"].removeprefix("http://testserver"))
            log.error("GET %s failed", answer["statusUrl"])
        assert answer["statusUrl"].rpartition("=")[2] not in stream.getvalue()
        assert "token=…" in stream.getvalue()

    def test_a_call_that_failed_is_no_defect_of_the_console(self, client, monkeypatch, published):
        def end(call_id, seconds, **_):
            TriggerCall.objects.filter(pk=call_id).update(state=CallState.FAILED)

        monkeypatch.setattr("triggers.hook.waiting.waiters.wait_for_end", end)
        with lines_of() as stream:
            assert client.get(PATH, query_params={**link_parameters(TriggerFactory()), "wait": "5"}).status_code == 500
        assert "Internal Server Error" not in stream.getvalue()
        assert [line["level"] for line in read(stream) if line["event"] == "request"] == ["warning"]


class Failing:
    """An engine that is away, and says so in words that hold a secret."""

    def __init__(self, endpoint, credentials):
        raise EngineUnreachable("tcp://user:planted-engine@10.0.0.9:2375 does not answer.")


@pytest.fixture
def failing_engine(monkeypatch):
    monkeypatch.setattr(runner, "EngineClient", Failing)
    monkeypatch.setattr(runner, "ENGINE_PATIENCE", 0.0)


@pytest.mark.django_db(transaction=True)
def test_every_line_of_a_call_is_found_by_the_requests_id_and_its_own(client, published, failing_engine):
    trigger = TriggerFactory()
    with lines_of() as stream:
        client.get(PATH, query_params=link_parameters(trigger), headers={"X-Request-ID": "build-1234"})
        client.get(PATH, query_params=link_parameters(trigger))
        call = TriggerCall.objects.get(request_id="build-1234")
        runner.run_next_call(call.application_id)
    lines = [line for line in read(stream) if line.get("request_id") == "build-1234"]
    assert [line["event"] for line in lines] == ["call accepted", "request", "operation", "call ended"]
    assert {line.get("call_id") for line in lines if line["event"] != "request"} == {str(call.pk)}
    ended = lines[-1]
    told = ("action", "cluster", "application", "source", "state", "reason")
    expected = ["redeploy", trigger.application.cluster.name, trigger.application.name, "hook", "failed", "engine_unreachable"]
    assert [ended[name] for name in told] == expected
    assert ended["queued_ms"] >= 0
    assert ended["run_ms"] >= 0
    (covered,) = (line for line in read(stream) if line.get("state") == "coalesced")
    assert (covered["event"], covered["coalesced_into"]) == ("call ended", str(call.pk))


@pytest.mark.django_db(transaction=True)
def test_the_lines_of_a_lease_have_the_calls_id(published, settings, monkeypatch):
    def refuse(call_id, owner):
        runner.log.warning("beat")
        raise lease.LeaseLost

    settings.CALL_LEASE_SECONDS = 0.03
    monkeypatch.setattr(runner.CallRun, "run", lambda self: self.lease._thread.join(10))
    monkeypatch.setattr(lease, "extend_lease", refuse)
    call = accept_call(request_of(TriggerFactory()))
    with lines_of() as stream:
        runner.run_next_call(call.application_id)
    assert [line["call_id"] for line in read(stream) if line["event"] == "beat"] == [str(call.pk)]


@pytest.mark.django_db(transaction=True)
def test_no_secret_is_in_any_line(client, settings, monkeypatch, failing_engine):
    """Through web and worker: links, inbound links, a registry's password, a broker and an engine that fail, people, tokens."""

    def refuse(*_, **__):
        raise OperationalError("redis://:planted-broker@queue:6379 refused")

    monkeypatch.setattr(nudges.current_app, "send_task", refuse)
    settings.METRICS_TOKEN = "planted-metrics-token"
    admin = Client()
    admin.force_login(make_user("root", is_superuser=True, is_staff=True))
    trigger = TriggerFactory()
    link = link_parameters(trigger)
    wrong = "planted0" * 8
    basic = b64encode(b"user:planted-basic").decode()
    with lines_of() as stream:
        # Links: right, wrong, in a header, in a body, and what becomes of the call.
        client.get(PATH, query_params=link)
        client.get(PATH, query_params={**link, "secret": wrong})
        client.post(PATH, {"secret": trigger.secret}, query_params={"triggerUrl": link["triggerUrl"]})
        client.get(PATH, query_params={"triggerUrl": link["triggerUrl"]}, headers={"X-Trigger-Secret": trigger.secret})
        call = TriggerCall.objects.order_by("queued_at").first()
        client.get(f"/hook/calls/{call.pk}", query_params={"secret": trigger.secret})
        outcome_token = make_outcome_token(call.pk, trigger.public_id)
        client.get(f"/hook/calls/{call.pk}", query_params={"token": outcome_token})
        runner.run_next_call(call.application_id)
        # Registries.
        body = {"host": "registry.example.com", "user": "robot", "password": "planted-registry"}
        registry = admin.post("/api/v1/registries/", body, content_type="application/json").json()
        token = registry["hook_link"].rstrip("/").rpartition("/")[2]
        headers = {"Authorization": f"Basic {basic}"}
        client.post(f"/hook/registry/{token}", "{", content_type="application/json", headers=headers)
        client.post("/hook/registry/planted-inbound", "{}", content_type="application/json")
        # People.
        client.post("/login/", {"username": "root", "password": "planted-password"})
        client.get("/metrics", headers={"Authorization": "Bearer planted-metrics"})
        client.get("/api/v1/triggers/", headers={"Authorization": "Token planted-api"})
        admin.post(f"/triggers/{trigger.pk}/reveal/")
        admin.post(f"/api/v1/triggers/{trigger.pk}/reveal/")
        rotated = admin.post(f"/api/v1/triggers/{trigger.pk}/rotate/").json()
    text = stream.getvalue()
    for event in ("call accepted", "call ended", "broker away", "delivery", "operation", "trigger.reveal", "sign_in.fail"):
        assert event in text, event
    secrets = {
        trigger.secret,
        outcome_token,
        rotated["secret"],
        wrong,
        token,
        basic,
        settings.SECRET_KEY,
        settings.ENCRYPTION_KEY,
    }
    found = [secret for secret in (*secrets, "planted") if secret in text]
    assert found == [], [line for line in text.splitlines() if any(secret in line for secret in found)]

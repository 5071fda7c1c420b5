"""A flood of strangers' requests writes a bounded number of lines, and what matters is logged all the same."""

import logging

import pytest
from django.test import Client
from structlog.testing import capture_logs

from console.telemetry import line_limit
from console.telemetry.line_limit import LINES_A_SECOND, REASONS_A_SECOND, LineLimit
from console.telemetry.log_lines import is_admitted
from triggers.tests.calling import link_parameters
from triggers.tests.factories import TriggerFactory

FLOOD = 4 * LINES_A_SECOND


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    seconds = [100.5]
    monkeypatch.setattr(line_limit, "monotonic", lambda: seconds[0])
    return seconds


def request_lines(ask, number=FLOOD):
    with capture_logs() as lines:
        for _ in range(number):
            ask()
    return [line for line in lines if line["event"] == "request"]


def test_each_second_has_its_lines(clock):
    limit = LineLimit()
    assert sum(limit.admit(404) for _ in range(FLOOD)) == LINES_A_SECOND
    clock[0] += 1
    assert sum(limit.admit(404) for _ in range(FLOOD)) == LINES_A_SECOND


def test_the_others_are_counted_in_one_line():
    limit = LineLimit()
    for number in range(LINES_A_SECOND + 5):
        limit.admit(404 if number % 2 else 401)
    with capture_logs() as lines:
        limit.report()
        limit.report()
    assert [{key: line[key] for key in ("event", "status_401", "status_404")} for line in lines] == [
        {"event": "requests without a line", "status_401": 3, "status_404": 2}
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/login/", "/nothing/", "/hook/trigger?secret=wrong", "/api/v1/clusters/"])
def test_strangers_are_bounded_wherever_they_knock(path):
    client = Client()
    lines = request_lines(lambda: client.get(path))
    assert len(lines) == LINES_A_SECOND


def test_a_signed_in_users_requests_are_all_logged(admin_client):
    assert len(request_lines(lambda: admin_client.get("/calls/running/"))) == FLOOD


@pytest.mark.django_db
def test_accepted_calls_of_a_link_are_all_logged(published):
    client, query = Client(), link_parameters(TriggerFactory())
    assert len(request_lines(lambda: client.get("/hook/trigger", query))) == FLOOD


@pytest.mark.django_db
def test_a_defect_is_logged_however_many_strangers_knock(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError

    client = Client(raise_request_exception=False)
    request_lines(lambda: client.get("/nothing/"))
    monkeypatch.setattr("console.pages.account.sign_in_views.SignInView.get", fail)
    assert [line["status"] for line in request_lines(lambda: client.get("/login/"))] == [500] * LINES_A_SECOND


def test_each_second_has_a_few_lines_that_say_why(clock):
    record = logging.makeLogRecord({"name": "django.security.csrf"})
    assert sum(is_admitted(record) for _ in range(FLOOD)) == REASONS_A_SECOND
    assert is_admitted(logging.makeLogRecord({"name": "django.request"}))
    clock[0] += 1
    assert is_admitted(record)

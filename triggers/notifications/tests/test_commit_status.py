"""Which commits get a status: those of verified jobs, and those that calls name, at the channels that are for them."""

import pytest
from django.db import connection

from triggers.calls.accept import accept_call
from triggers.models import CallState, Notification, NotificationChannel, NotificationDelivery, TriggerCall
from triggers.notifications.commit_status import find_commit, record_commit_status
from triggers.notifications.sending import send_due
from triggers.run.claim import claim_call
from triggers.run.results import finish_call
from triggers.tests.calling import request_of
from triggers.tests.factories import TriggerCallFactory, TriggerFactory

pytestmark = pytest.mark.django_db

COMMIT, OTHER = "a" * 40, "b" * 64
GITHUB = {"forge": "github", "server": "https://github.com", "token": "planted", "repository": "team/*"}
JOB = {"issuer": "https://token.actions.githubusercontent.com", "repository": "team/app", "commit": COMMIT}


@pytest.fixture
def github(db):
    channel = NotificationChannel(name="commits", kind="commit")
    channel.values = GITHUB
    channel.save()
    return channel


def list_statuses():
    return [
        (news.facts["commit"]["repository"], news.facts["commit"]["id"], news.facts["commit"]["status"])
        for news in Notification.objects.order_by("pk")
    ]


@pytest.mark.parametrize(
    ("identity", "named", "values", "expected"),
    [
        (JOB, None, {}, ("team/app", COMMIT)),
        (None, {"commit": COMMIT, "repository": "team/web"}, {}, ("team/web", COMMIT)),
        (None, {"commit": OTHER, "repository": "Team/Web"}, {}, ("Team/Web", OTHER)),
        (None, {"commit": COMMIT}, {"repository": "team/app"}, ("team/app", COMMIT)),
        (None, {"commit": COMMIT}, {}, None),
        (None, {"commit": COMMIT, "repository": "others/web"}, {}, None),
        (None, {"commit": COMMIT, "repository": "others/web"}, {"repository": ""}, ("others/web", COMMIT)),
        (JOB, {"commit": OTHER}, {}, ("team/app", OTHER)),
        (JOB, {"commit": OTHER, "repository": "TEAM/app"}, {}, ("TEAM/app", OTHER)),
        (JOB, {"commit": OTHER, "repository": "team/web"}, {}, None),
        (JOB | {"repository": "others/app"}, None, {}, None),
        (JOB | {"issuer": "https://gitlab.com"}, None, {}, None),
        (JOB | {"issuer": "https://gitlab.com"}, None, {"repository": "team/app"}, None),
        (
            JOB | {"issuer": "https://git.test/api/actions"},
            None,
            {"server": "https://git.test", "forge": "gitea"},
            ("team/app", COMMIT),
        ),
        (JOB | {"commit": "main"}, None, {}, None),
        (JOB | {"repository": "team/../app"}, None, {}, None),
        (None, None, {"repository": "team/app"}, None),
    ],
    ids=range(17),
)
def test_the_commit_of_a_call(identity, named, values, expected):
    call = TriggerCall(action="redeploy", identity=identity, built_from=named)
    assert find_commit(call, GITHUB | values) == expected


def test_a_call_is_pending_while_it_runs_and_then_a_success(github, published):
    trigger = TriggerFactory()
    accept_call(request_of(trigger, built_from={"commit": COMMIT, "repository": "team/app"}))
    assert list_statuses() == []
    call = claim_call(trigger.application_id, "a")
    assert list_statuses() == [("team/app", COMMIT, "pending")]
    finish_call(call, "a", CallState.SUCCEEDED, "", "It runs.")
    assert list_statuses()[1:] == [("team/app", COMMIT, "success")]
    commit = Notification.objects.latest("pk").facts["commit"]
    application = trigger.application
    assert commit["context"] == f"windlass/{application.name}@{application.cluster.name}"
    assert commit["description"] == "The redeploy succeeded."
    assert set(NotificationDelivery.objects.values_list("channel", flat=True)) == {github.pk}


@pytest.mark.parametrize("state", [CallState.FAILED, CallState.ROLLED_BACK])
def test_a_failure_names_its_reason_and_nothing_that_the_engine_said(github, published, state):
    trigger = TriggerFactory()
    accept_call(request_of(trigger, identity=JOB))
    call = claim_call(trigger.application_id, "a")
    finish_call(call, "a", state, "pull_failed", "registry.internal:5000 said no.")
    commit = Notification.objects.latest("pk").facts["commit"]
    assert commit["status"] == "failure"
    assert "pull_failed" in commit["description"]
    assert "internal" not in str(commit)


def test_a_coalesced_call_has_a_status_of_its_own(github, published):
    trigger = TriggerFactory()
    for commit in (COMMIT, OTHER):
        accept_call(request_of(trigger, built_from={"commit": commit, "repository": "team/app"}))
    call = claim_call(trigger.application_id, "a")
    finish_call(call, "a", CallState.SUCCEEDED, "", "It runs.")
    statuses = [("team/app", COMMIT, "pending"), ("team/app", OTHER, "pending")]
    assert list_statuses() == statuses + [(*one[:2], "success") for one in statuses]


def test_a_channel_that_is_off_and_calls_without_a_commit_write_nothing(github, published):
    trigger = TriggerFactory()
    accept_call(request_of(trigger))
    claim_call(trigger.application_id, "a")
    NotificationChannel.objects.update(enabled=False)
    other = TriggerFactory()
    accept_call(request_of(other, identity=JOB))
    claim_call(other.application_id, "a")
    assert not Notification.objects.exists()


def test_it_costs_one_query_without_such_a_channel(django_assert_num_queries):
    call = TriggerCallFactory()
    with django_assert_num_queries(1):
        record_commit_status(call, CallState.RUNNING)


def test_a_configuration_that_cannot_be_decrypted_keeps_no_call_from_its_end(github, published):
    trigger = TriggerFactory()
    accept_call(request_of(trigger, identity=JOB))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE triggers_notificationchannel SET configuration = 'gAAAAA of another key'")
    call = claim_call(trigger.application_id, "a")
    finish_call(call, "a", CallState.SUCCEEDED, "", "It runs.")
    call.refresh_from_db()
    assert call.state == CallState.SUCCEEDED
    assert not Notification.objects.exists()


def test_both_statuses_of_a_call_are_sent_at_once_and_not_joined(github, published, sink):
    sink.answers = [(201, {}, b"{}")]
    github.values = GITHUB | {"forge": "gitea", "server": sink.address}
    github.save()
    trigger = TriggerFactory()
    for number in range(12):  # more than another channel gets in a minute
        commit = {"commit": f"{number:040x}", "repository": "team/app"}
        accept_call(request_of(trigger, built_from=commit))
        call = claim_call(trigger.application_id, "a")
        send_due()
        finish_call(call, "a", CallState.SUCCEEDED, "", "It runs.")
        send_due()
    sent = [(got.path.rpartition("/")[2], got.json["state"]) for got in sink.received]
    assert sent == [(f"{number:040x}", state) for number in range(12) for state in ("pending", "success")]
    assert set(NotificationDelivery.objects.values_list("status", "answer_status")) == {("delivered", 201)}

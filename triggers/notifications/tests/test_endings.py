import json

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from clusters.engine.driver import Outcome
from clusters.engine.snapshot import ServiceSnapshot, Snapshot
from clusters.inventory import prune_absent
from clusters.models import Application
from triggers.calls.accept import accept_call
from triggers.calls.cancel import cancel_call
from triggers.hook.outcome_tokens import make_outcome_token
from triggers.models import CallState, News, Notification, NotificationChannel, NotificationDelivery, TriggerCall
from triggers.run.claim import MAXIMUM_ATTEMPTS, claim_call
from triggers.run.lease import LeaseLost
from triggers.run.results import finish_call
from triggers.tests.calling import expire_lease, request_of, run
from triggers.tests.factories import (
    NotificationChannelFactory,
    NotificationRuleFactory,
    ScalingTriggerFactory,
    TriggerCallFactory,
    TriggerFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("driver")]


@pytest.fixture
def trigger():
    return TriggerFactory()


def told():
    """What is news, the oldest first, with the number of channels."""
    return [(each.news, each.deliveries.count()) for each in Notification.objects.order_by("pk")]


def end(trigger, state, **more):
    call = accept_call(request_of(trigger, **more))
    finish_call(claim_call(trigger.application_id, "a"), "a", state, "", f"It is {state}.")
    return TriggerCall.objects.get(pk=call.pk)


@pytest.mark.parametrize(("state", "news"), [("failed", "failed"), ("rolled_back", "failed"), ("succeeded", "succeeded")])
def test_a_call_that_ends_is_news(trigger, state, news):
    NotificationRuleFactory(news=news)
    call = end(trigger, state)
    notification = Notification.objects.get()
    assert (notification.news, notification.call, notification.application) == (news, call, trigger.application)
    assert notification.cluster == trigger.application.cluster
    assert notification.facts["call"] | {"first_error": ""} == {
        "id": str(call.pk),
        "action": "redeploy",
        "service": None,
        "state": state,
        "reason": "",
        "sentence": f"It is {state}.",
        "first_error": "",
    }


def test_the_first_error_and_the_images_are_told(driver):
    NotificationRuleFactory()
    before, after = (Snapshot({"web": ServiceSnapshot(image=image)}) for image in ("app:1", "app:3"))
    call = TriggerCallFactory(
        state=CallState.RUNNING,
        started_at=timezone.now(),
        lease_owner="a",
        before=before.to_json(),
        failure={"container": "web-1", "image": "app:2", "imageId": "", "firstErrorLine": "no such table", "failed": 1},
    )
    finish_call(call, "a", CallState.ROLLED_BACK, "crashed", "It crashed.", after)
    facts = Notification.objects.get().facts
    assert (facts["image_before"], facts["image_after"]) == ("app:1", "app:2")  # the image that was tried
    assert (facts["call"]["first_error"], facts["call"]["reason"]) == ("no such table", "crashed")


def test_without_a_rule_nothing_is_written_for_one_query(trigger):
    NotificationRuleFactory(news=News.SUCCEEDED)
    NotificationRuleFactory(channel__enabled=False)
    NotificationRuleFactory(application=TriggerFactory().application)
    NotificationRuleFactory(cluster=TriggerFactory().application.cluster)
    accept_call(request_of(trigger))
    call = claim_call(trigger.application_id, "a")
    with CaptureQueriesContext(connection) as queries:
        finish_call(call, "a", CallState.FAILED, "", "It failed.")
    assert len([query for query in queries if "notificationrule" in query["sql"]]) == 1
    assert told() == []


def test_every_channel_with_a_rule_for_the_place_is_told_once(trigger):
    for place in ({}, {"cluster": trigger.application.cluster}, {"application": trigger.application}):
        NotificationRuleFactory(**place)
    both = NotificationRuleFactory().channel
    NotificationRuleFactory(channel=both, cluster=trigger.application.cluster)
    end(trigger, "failed")
    assert told() == [("failed", 4)]


def test_the_first_success_after_a_failure_is_news(trigger):
    NotificationRuleFactory(news=News.WORKS_AGAIN)
    for state in ("succeeded", "failed", "rolled_back", "succeeded", "succeeded"):
        end(trigger, state)
    assert told() == [("works_again", 1)]


def test_a_channel_that_wants_both_is_told_once(trigger):
    channel = NotificationRuleFactory(news=News.WORKS_AGAIN).channel
    NotificationRuleFactory(channel=channel, news=News.SUCCEEDED)
    NotificationRuleFactory(news=News.SUCCEEDED)
    for state in ("failed", "succeeded", "succeeded"):
        end(trigger, state)
    assert told() == [("works_again", 1), ("succeeded", 1), ("succeeded", 2)]


def test_another_action_or_service_does_not_say_that_it_works_again():
    NotificationRuleFactory(news=News.WORKS_AGAIN)
    scaling = ScalingTriggerFactory()
    redeploy = TriggerFactory(application=scaling.application)
    end(redeploy, "failed")
    end(scaling, "succeeded", step=1)
    assert told() == []
    end(TriggerFactory(application=scaling.application), "succeeded")  # another trigger of the same
    assert told() == [("works_again", 1)]


def test_calls_that_ran_as_one_are_one_news():
    NotificationRuleFactory()
    trigger = ScalingTriggerFactory()
    for _ in range(3):
        accept_call(request_of(trigger, step=1))
    finish_call(claim_call(trigger.application_id, "a"), "a", CallState.FAILED, "", "It failed.")
    assert TriggerCall.objects.filter(state=CallState.FAILED).count() == 3
    assert told() == [("failed", 1)]


def test_what_never_ran_is_no_news(trigger):
    for news in (News.FAILED, News.SUCCEEDED, News.WORKS_AGAIN):
        NotificationRuleFactory(news=news)
    call = accept_call(request_of(trigger))
    accept_call(request_of(trigger))  # coalesced
    cancel_call(call, "ann")
    trigger.enabled = False
    trigger.save()
    accept_call(request_of(trigger))  # rejected
    assert told() == []


def test_a_call_that_is_cancelled_while_it_runs_or_given_up_is_news(trigger, driver):
    NotificationRuleFactory()

    def cancel(check):
        cancel_call(TriggerCall.objects.get(state=CallState.RUNNING), "ann")

    driver.outcome = Outcome("rolled_back", "cancelled", "Cancelled by ann.")
    driver.during = cancel
    run(accept_call(request_of(trigger)))
    call = accept_call(request_of(trigger))
    claim_call(trigger.application_id, "dead")
    TriggerCall.objects.filter(pk=call.pk).update(attempts=MAXIMUM_ATTEMPTS + 1)
    expire_lease(call)
    assert run(call).reason == "lost"
    assert told() == [("failed", 1), ("failed", 1)]


def test_a_worker_that_lost_its_call_writes_no_news(trigger):
    NotificationRuleFactory()
    accept_call(request_of(trigger))
    call = claim_call(trigger.application_id, "dead")
    expire_lease(call)
    claim_call(trigger.application_id, "b")
    with pytest.raises(LeaseLost):
        finish_call(call, "dead", CallState.FAILED, "", "late")
    assert told() == []


@pytest.mark.django_db(transaction=True)
def test_the_news_and_the_end_are_one_transaction(trigger):
    NotificationRuleFactory()
    accept_call(request_of(trigger))
    call = claim_call(trigger.application_id, "a")

    class Killed(BaseException):
        pass

    def end_and_die():
        with transaction.atomic():
            finish_call(call, "a", CallState.FAILED, "", "It failed.")
            raise Killed

    with pytest.raises(Killed):
        end_and_die()
    assert told() == []
    assert TriggerCall.objects.get().state == CallState.RUNNING
    finish_call(call, "a", CallState.FAILED, "", "It failed.")
    assert told() == [("failed", 1)]
    assert TriggerCall.objects.get().state == CallState.FAILED


def test_a_scaling_beyond_the_most_is_news(driver):
    NotificationRuleFactory(news=News.OVER_MOST)
    trigger = ScalingTriggerFactory(max_replicas=4)
    driver.running = 3
    run(accept_call(request_of(trigger, step=1)))
    assert told() == []
    driver.running = 3
    run(accept_call(request_of(trigger, step=5)))
    assert told() == [("over_most", 1)]
    assert Notification.objects.get().facts["sentence"] == "Scaling out by 5 from 3 to 8 is limited to 4."


def test_no_secret_and_no_link_is_ever_in_the_facts(trigger):
    for news in (News.FAILED, News.SUCCEEDED, News.WORKS_AGAIN, News.OVER_MOST):
        NotificationRuleFactory(news=news)
    calls = [end(trigger, state) for state in ("failed", "succeeded")]
    written = json.dumps([each.facts for each in Notification.objects.all()])
    for secret in (
        trigger.secret,
        trigger.public_id,
        "/hook/",
        *(make_outcome_token(call.pk, trigger.public_id) for call in calls),
    ):
        assert secret not in written


def test_news_of_what_was_deleted_stay(trigger):
    NotificationRuleFactory(application=trigger.application)
    NotificationRuleFactory()
    end(trigger, "failed")
    trigger.application.cluster.delete()
    notification = Notification.objects.get()
    assert (notification.call, notification.application, notification.cluster) == (None, None, None)
    assert notification.facts["application"]["name"] == trigger.application.name
    assert NotificationDelivery.objects.count() == 2
    assert NotificationChannel.objects.filter(rules__isnull=True).count() == 1


def test_a_rule_keeps_its_application(trigger):
    rule = NotificationRuleFactory(application=TriggerFactory().application, channel=NotificationChannelFactory())
    Application.objects.update(status=Application.Status.ABSENT)
    rule.application.triggers.all().delete()
    prune_absent(Application.objects.all())
    rule.refresh_from_db()
    assert rule.application.status == "absent"

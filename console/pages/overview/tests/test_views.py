"""The overview."""

import pytest

from clusters.roles import Role
from clusters.tests.factories import ApplicationFactory, ContainerFactory
from clusters.tests.users import make_user
from triggers.models import CallState, TriggerCall
from triggers.tests.factories import TriggerFactory

TOUR = "A first trigger"


def test_a_failure_followed_by_a_success_needs_no_attention(reader, fleet):
    assert list(reader.get("/").context["broken_calls"]) == [fleet.call]
    TriggerCall.objects.create(
        application=fleet.application,
        action="redeploy",
        source="hook",
        state=CallState.SUCCEEDED,
        queued_at=fleet.call.completed_at,
    )
    assert list(reader.get("/").context["broken_calls"]) == []


def test_a_lone_container_that_keeps_restarting_needs_attention(reader, fleet):
    stopped, crashing = (ApplicationFactory(cluster=fleet.cluster, status="stopped", running=0) for _ in range(2))
    ContainerFactory(service__application=stopped, state="exited")
    ContainerFactory(service__application=crashing, state="restarting")
    assert list(reader.get("/").context["short_applications"]) == [crashing]


def test_a_tour_is_shown_until_the_first_trigger_exists(reader, db):
    application = ApplicationFactory()
    page = reader.get("/").content.decode()
    assert TOUR in page
    assert "Open an application and create a trigger" not in page  # said once
    TriggerFactory(application=application)
    page = reader.get("/").content.decode()
    assert TOUR not in page
    assert "Open an application and create a trigger" in page


@pytest.mark.parametrize(("role", "shown"), [(Role.OPERATOR, False), (Role.DEPLOYER, True)])
def test_the_tour_is_for_those_who_may_create_a_trigger(client, db, role, shown):
    ApplicationFactory()
    client.force_login(make_user("newcomer", role))
    assert (TOUR in client.get("/").content.decode()) == shown
